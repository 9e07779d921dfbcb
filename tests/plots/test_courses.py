"""Lines side by side."""

import math
from typing import Any

import pytest

from glasscell import plots
from glasscell.errors import InputError
from glasscell.plots.palette import DARK, LIGHT


@pytest.mark.parametrize("dark", [False, True])
def test_each_line_has_its_values_its_name_and_a_dash_of_its_own(dark):
    lines = {"a <b>": [1.0, math.nan, 3.0], "c": [3.0, 2.0, 1.0]}
    figure: Any = plots.courses(lines, ["In", "<i>", "."], across="word", up="x", dark=dark)
    one, two = figure.data
    assert one.name == "a &lt;b&gt;"
    assert list(two.y) == lines["c"]
    assert list(one.x) == [0, 1, 2]
    assert figure.layout.xaxis.ticktext == ("In", "&lt;i&gt;", ".")
    assert len({each.line.dash for each in figure.data}) == 2
    assert len({each.line.color for each in figure.data}) == 2
    assert figure.layout.paper_bgcolor == (DARK if dark else LIGHT).surface


def test_numbers_may_lie_on_a_logarithmic_axis_beside_a_level():
    figure: Any = plots.courses(
        {"a": [1, 2]}, [50, 400], across="T", up="y", logarithmic=True, level=(0.25, "chance")
    )
    assert figure.layout.xaxis.type == "log"
    assert list(figure.data[0].x) == [50, 400]
    assert figure.layout.shapes[0].y0 == 0.25
    assert figure.layout.annotations[0].text == "chance"


def test_bad_lines():
    with pytest.raises(InputError, match="lines: expected at least one, got none"):
        plots.courses({}, [], across="", up="")
    with pytest.raises(InputError, match="lines: expected 2 values, one a place, in 'a', got 1"):
        plots.courses({"a": [1]}, [1, 2], across="", up="")
