"""Scores, memories and counts, as the page and the terminal tell them."""

import math

import pytest
from tests.comparing.made_up import BITS, run

from glasscell.comparing.comparison_of import comparison_of
from glasscell.comparing.measure import Measure
from glasscell.comparing.report.numerals import count, memory, p_value


def test_numbers_in_words():
    measure = Measure("bits", True, 0.02)
    assert measure.told(-0.0004, sign=True) == "0.000"
    assert measure.told(-1.23456) == "−1.235"
    assert measure.told(0.5, sign=True) == "+0.500"
    assert measure.told(float("-inf")) == "−∞"


@pytest.mark.parametrize(
    ("median", "longest", "told"),
    [
        (12.34, 1234.5, "12.3, 1,234.5"),
        (12.34, math.inf, "12.3, ∞"),  # some units never forget
        (math.inf, math.inf, "∞, ∞"),  # none does, as without a forget gate
        (None, None, ""),  # a cell that writes its state anew at each step
    ],
)
def test_memory(median, longest, told):
    runs = [run("lstm", k, 1.9, memory_steps=median, longest_steps=longest) for k in range(2)]
    found = comparison_of(runs, cells=["lstm"], title="", measure=BITS)
    assert memory(found["lstm"]) == told
    (cell,) = found.as_dict()["cells"]
    plain = "Infinity" if longest == math.inf else longest
    assert cell["longest_steps"] == cell["runs"][0]["longest_steps"] == plain
    assert told.split(", ")[-1] in str(found)


def test_counts_and_ps():
    assert (count(12345.4), count(math.nan)) == ("12,345", "")
    assert [p_value(p) for p in (0.0004, 0.0123, math.nan)] == ["< 0.001", "0.012", ""]
