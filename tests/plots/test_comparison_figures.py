"""Scores, learning curves and costs of several things side by side."""

import math
from typing import Any

import pytest

from glasscell import plots
from glasscell.errors import InputError
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
    assert (one.x[0], one.y[0], one.text[0]) == (9e4, 1.9, "a &lt;b&gt;")
    assert (one.error_y.array[0], one.error_y.arrayminus[0]) == pytest.approx((0.2, 0.1))
    assert two.error_y.visible is None
    assert (one.textposition, two.textposition) == ("middle right", "middle left")
    assert figure.layout.xaxis.rangemode == "tozero"
    near: Any = plots.cost_scores({"a": (9, 1, 1, 1), "b": (10, 1, 1, 1)}, across="", up="")
    assert near.layout.xaxis.rangemode == "normal"
    with pytest.raises(InputError, match="points: expected at least one"):
        plots.cost_scores({}, across="", up="")
