import math
from typing import Any

import numpy as np
import pytest
import torch

from glasscell import plots
from glasscell.analysis import find_units
from glasscell.plots.palette import DARK, LIGHT, LOOKS

LETTERS = list("ab<\n")
IDS = [0, 1, 2, 3, 0, 0, 1, 2, 1, 3, 2, 2, 0, 1, 3, 0, 1, 1, 2, 0]


def drawn(figure) -> Any:
    """A figure, whose parts plotly declares too loosely to be type-checked."""
    return figure


@pytest.fixture
def layer(read):
    return read(LETTERS, IDS, hidden=7).trace["l0"]


def test_units_stand_in_order_and_those_beyond_chance_in_colour(layer):
    labels = torch.tensor(IDS) == 0
    found = find_units(layer, labels[:, None])
    points, folds, mean = drawn(plots.unit_scores(found)).data
    assert list(points.x) == [str(unit) for unit in found.order.tolist()]
    np.testing.assert_allclose(points.y, found.scores[found.order])
    beyond = [each.p_family < 0.05 for each in found.best()]
    assert [c == LOOKS["cell"].light for c in points.marker.line.color] == beyond
    assert found.probe is not None
    defined = found.probe.by_fold[~found.probe.by_fold.isnan()]
    np.testing.assert_allclose(folds.y, defined)
    assert list(mean.y) == [found.probe.score] * 2


def test_the_band_is_where_the_best_unit_stays_by_chance(layer):
    found = find_units(layer, torch.tensor(IDS)[:, None])
    figure = drawn(plots.unit_scores(found, level=0.2, top=3))
    assert len(figure.data[0].x) == 3
    band = figure.layout.shapes[0]
    assert (band.y0, band.y1) == (-found.limit(0.2), found.limit(0.2))
    assert figure.layout.yaxis.title.text == "correlation"
    # With 20 shifts nothing can be below 1 in 20.
    assert math.isinf(found.limit(0.05))
    assert "too few" in drawn(plots.unit_scores(found)).layout.annotations[0].text


def test_the_best_unit_is_shown_at_work_with_the_label_behind(layer):
    on = torch.tensor(IDS) == 1
    choices: list[dict[str, Any]] = [{}, {"folds": None, "chance": None}]
    for options in choices:
        found = find_units(layer, on[:, None], "hidden", **options)
        tokens = [LETTERS[k] for k in IDS]
        figure = drawn(
            plots.unit_scores(found, layer=layer, labels=on[:, None], tokens=tokens, unit=2)
        )
        course = figure.data[-1]
        np.testing.assert_allclose(course.y, layer.sequence("hidden")[:, 2], rtol=1e-6)
        assert list(course.text)[:4] == ["a", "b", "&lt;", "⏎"]
        shades = [shape for shape in figure.layout.shapes if shape.fillcolor == LIGHT.surprise]
        shaded = [t for t in range(20) if any(s.x0 < t < s.x1 for s in shades)]
        assert shaded == on.nonzero()[:, 0].tolist()
        assert {shade.xref for shade in shades} == {course.xaxis}


def test_a_label_of_numbers_is_a_line(layer):
    place = torch.arange(20.0)
    found = find_units(layer, place[:, None])
    figure = drawn(plots.unit_scores(found, layer=layer, labels=place[:, None], dark=True))
    label = figure.data[-2]
    np.testing.assert_array_equal(label.customdata, place)
    assert np.ptp(label.y) == pytest.approx(np.ptp(figure.data[-1].y))
    assert figure.layout.paper_bgcolor == DARK.surface


def test_tokens_must_be_as_many_as_steps(layer):
    found = find_units(layer, torch.tensor(IDS)[:, None])
    with pytest.raises(ValueError, match="tokens: expected 20, one for each step, got 2"):
        plots.unit_scores(found, layer=layer, tokens=["a", "b"])
