from typing import Any

import numpy as np
import pytest

from glasscell import plots
from glasscell.analysis import match
from glasscell.plots.palette import DARK

# Two sequences; unit 0 is on where there is "x", unit 1 where there is "x" or "y".
TEXTS = ["axx.yy", ".xxx<"]


def drawn(figure) -> Any:
    """A figure, whose parts plotly declares too loosely to be type-checked."""
    return figure


@pytest.fixture
def found():
    steps = "".join(TEXTS)
    values = np.array([[c == "x", c in "xy"] for c in steps], dtype=float)
    return match(values, (1, 3), 0.5, lengths=[6, 5])


def test_rows_are_the_chosen_span_and_its_matches_aligned(found):
    assert found.spans == [(1, 1, 4), (0, 4, 6)]
    figure = drawn(plots.match_list(found, TEXTS, context=2))
    (heatmap,) = figure.data
    assert list(heatmap.x) == [-2, -1, 0, 1, 2, 3, 4]
    rows = ["".join(row) for row in heatmap.text]
    assert rows == ["axx.yy", ".xxx&lt;", "x.yy"]
    nan = np.nan
    expected = [[nan, 0, 2, 2, 0, 1, 1], [nan, 0, 2, 2, 2, 0, nan], [2, 0, 1, 1, nan, nan, nan]]
    np.testing.assert_array_equal(heatmap.z, expected)
    assert heatmap.customdata[1].tolist() == [-1, 0, 1, 2, 3, 4, 5]
    assert (heatmap.zmin, heatmap.zmax) == (0, 2)
    frames = [(s.x0 + 0.5, s.x1 + 0.5) for s in figure.layout.shapes if s.type != "line"]
    assert frames == [(0, 2), (0, 3), (0, 2)]
    assert [text.split("  ")[-1] for text in figure.layout.yaxis.ticktext] == [
        "chosen, 2 units",
        "2 of 2",
        "1 of 2",
    ]
    assert "sequence 1, 1–3" in figure.layout.yaxis.ticktext[1]


def test_long_spans_are_cut_and_top_holds(found):
    values = np.ones((500, 1))
    values[100:103] = 0
    long = match(values, (0, 100), 0.5)
    (heatmap,) = drawn(plots.match_list(long, ["a"] * 500)).data
    assert np.asarray(heatmap.z).shape == (2, 64)
    (heatmap,) = drawn(plots.match_list(found, top=1, dark=True)).data
    assert np.asarray(heatmap.z).shape[0] == 2
    assert heatmap.texttemplate is None


def test_nothing_found_is_said():
    values = np.zeros((9, 1))
    values[4] = 1
    figure = drawn(plots.match_list(match(values, (4, 5), 0.5), list("abcdefghi"), dark=True))
    assert "nothing matches" in figure.to_json()
    assert figure.layout.paper_bgcolor == DARK.surface


def test_tokens_must_be_as_many_as_steps(found):
    with pytest.raises(ValueError, match="tokens: expected one for each step"):
        plots.match_list(found, ["ab", "cd"])
    with pytest.raises(ValueError, match="context, top"):
        plots.match_list(found, context=-1)
