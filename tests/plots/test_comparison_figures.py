"""Scores, learning curves and costs of several things side by side."""

import itertools
import math
import random
from typing import Any

import pytest

from glasscell import plots
from glasscell.errors import InputError
from glasscell.plots.label_places import Box, label_offsets
from glasscell.plots.palette import DARK, LIGHT

SCORES = {"lstm": [1.9, 1.92, 1.88], "a <b>": [2.0, 2.02, 2.4], "none": []}


@pytest.mark.parametrize("dark", [False, True])
def test_each_seed_has_a_dot_and_each_mean_an_interval(dark):
    figure: Any = plots.seed_scores(
        SCORES,
        intervals={"lstm": (1.85, 1.95), "a <b>": (-math.inf, math.inf)},
        across="bits",
        levels={"near": 1.95, "far": 9.0},
        dark=dark,
    )
    dots = [t for t in figure.data if t.mode == "markers" and t.marker.symbol is None]
    assert [list(t.x) for t in dots] == list(SCORES.values())
    assert [sorted(set(map(round, t.y))) for t in dots] == [[0], [1], []]
    (interval,) = [t for t in figure.data if t.mode == "lines"]
    assert (list(interval.x), list(interval.y)) == ([1.85, 1.95], [0, 0])
    means = [t.x[0] for t in figure.data if t.marker.symbol == "line-ns"]
    assert means == pytest.approx([1.9, 2.14])
    assert figure.layout.yaxis.ticktext == ("lstm", "a &lt;b&gt;", "none")
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first on top
    assert [shape.x0 for shape in figure.layout.shapes] == [1.95]
    assert figure.layout.annotations[0].text == "near: 1.95"
    assert figure.layout.paper_bgcolor == (DARK if dark else LIGHT).surface


def test_scores_that_cannot_be_drawn():
    with pytest.raises(InputError, match="scores: expected at least one, got none"):
        plots.seed_scores({"a": []}, across="")
    with pytest.raises(InputError, match="expected finite numbers of 'a'"):
        plots.seed_scores({"a": [math.nan]}, across="")


def test_a_mean_curve_between_points_and_only_where_all_are():
    curves = {"a": [([0, 2, 4], [4.0, 2.0, 0.0]), ([1, 3], [5.0, 3.0])], "b": [([1], [2.0])]}
    figure: Any = plots.learning_curves(curves, across="s", up="bits")
    thin = [t for t in figure.data if not t.name]
    assert [list(t.y) for t in thin] == [[4, 2, 0], [5, 3], [2]]
    mean = next(t for t in figure.data if t.name == "a")
    assert (mean.x[0], mean.x[-1]) == (1, 3)
    for x, y in zip(mean.x, mean.y, strict=True):
        assert y == pytest.approx(((4 - x) + (6 - x)) / 2)
    apart: Any = plots.learning_curves(
        {"a": [([0, 1], [1, 1]), ([2, 3], [1, 1])]}, across="", up=""
    )
    assert list(next(t for t in apart.data if t.name == "a").x) == []


def test_a_leap_on_the_way_does_not_press_the_others_together():
    x = list(range(10))
    steady, leaping = [3.0 - 0.1 * k for k in x], [3.0] * 4 + [40.0] + [2.5] * 5
    figure: Any = plots.learning_curves(
        {"a": [(x, steady)] * 9 + [(x, leaping)], "b": [(x, steady)]}, across="", up=""
    )
    low, high = figure.layout.yaxis.range
    assert low < 2.1
    assert 6 < high < 8  # the mean's height, not the leap's
    flat: Any = plots.learning_curves({"a": [([1], [2.0])]}, across="", up="")
    assert flat.layout.yaxis.range is None


def test_curves_that_cannot_be_drawn():
    with pytest.raises(InputError, match="curves: expected at least one"):
        plots.learning_curves({"a": []}, across="", up="")
    with pytest.raises(InputError, match="1 places and 2 scores"):
        plots.learning_curves({"a": [([1], [1, 2])]}, across="", up="")


def test_costs_and_scores():
    points = {"a <b>": (9e4, 1.9, 1.8, 2.1), "b": (2e5, 2.0, -math.inf, math.inf)}
    figure: Any = plots.cost_scores(points, across="tokens a second", up="bits")
    one, two = figure.data
    assert (one.x[0], one.y[0]) == (9e4, 1.9)
    assert (one.error_y.array[0], one.error_y.arrayminus[0]) == pytest.approx((0.2, 0.1))
    assert two.error_y.visible is None
    name, other = figure.layout.annotations
    assert (name.text, name.x, name.y, other.text) == ("a &lt;b&gt;", 9e4, 1.9, "b")
    low, high = figure.layout.yaxis.range
    assert low < 1.9
    assert high > 2.0
    assert 0 < figure.layout.xaxis.range[0] < 9e4
    far: Any = plots.cost_scores({"a": (1, 1, 1, 1), "b": (10, 1, 1, 1)}, across="", up="")
    assert far.layout.xaxis.range[0] == 0
    with pytest.raises(InputError, match="points: expected at least one"):
        plots.cost_scores({}, across="", up="")


def test_a_score_that_ran_away_is_told_and_not_drawn():
    points = {f"c{k}": (9e4 + k, 1.9 + k / 10, 1.8, 2.5) for k in range(6)}
    points["lost"] = (9e4, 602.7, 0.0, 2000.0)
    figure: Any = plots.cost_scores(points, across="", up="")
    assert [trace.y[0] for trace in figure.data] == [y for _, y, *_ in points.values()][:-1]
    assert figure.layout.annotations[-1].text == "beyond the figure: lost at 602.7"
    assert figure.layout.yaxis.range[1] < 3


def test_names_cover_neither_each_other_nor_points():
    generator = random.Random(1)
    places = [(generator.uniform(100, 300), generator.uniform(60, 220)) for _ in range(20)]
    labels = ["no_output_gate"[: generator.randint(3, 14)] for _ in places]
    offsets = label_offsets(places, labels, 620, 284)
    boxes = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    for (x, y), (dx, dy), label in zip(places, offsets, labels, strict=True):
        half = 3.5 * len(label)
        boxes.append(Box(x + dx - half, y + dy - 7, x + dx + half, y + dy + 7))
    named = list(itertools.combinations(range(len(boxes)), 2))
    covered = [(a, b) for a, b in named if b >= 20 and boxes[a].shared_with(boxes[b])]
    assert covered == []
    assert all(box.outside(620, 284) == 0 for box in boxes)
