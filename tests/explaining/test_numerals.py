"""How numbers are written, and which of many are shown."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasscell.explaining import number, percent
from glasscell.explaining.numerals import matrix, number_latex, shown


@pytest.mark.parametrize(
    ("value", "text", "latex"),
    [
        (92.0, "92", "92"),
        (-0.97071, "−0.9707", "-0.9707"),
        (0.5, "0.5", "0.5"),
        (0.99999999, "1.000", "1.000"),
        (0.99995, "0.99995", "0.99995"),
        (1.0, "1", "1"),
        (41.99999999, "42.000", "42.000"),
        (1.2e-5, "1.2·10⁻⁵", "1.2 \\cdot 10^{-5}"),
        (9999.7, "9999.7", "9999.7"),
        (-99999.4, "−1.000·10⁵", "-1.000 \\cdot 10^{5}"),
        (999999.6, "1.000·10⁶", "1.000 \\cdot 10^{6}"),
        (1.00001e-5, "1.000·10⁻⁵", "1.000 \\cdot 10^{-5}"),
        (1e-5, "1·10⁻⁵", "1 \\cdot 10^{-5}"),
        (1e8, "1·10⁸", "1 \\cdot 10^{8}"),
        (1234567.0, "1.235·10⁶", "1.235 \\cdot 10^{6}"),
        (math.inf, "∞", "\\infty"),
        (-math.inf, "−∞", "-\\infty"),
        (math.nan, "NaN", "\\text{NaN}"),
    ],
)
def test_numbers(value, text, latex):
    assert number(value) == text
    assert number_latex(value) == latex


@given(
    st.floats(-1e12, 1e12)
    | st.builds(lambda n, e: n * 10.0**e, st.floats(0.9, 1), st.integers(-9, 9))
)
def test_what_is_written_is_the_number(value):
    back = number(value).replace("−", "-").translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    assert float(back.replace("·10", "e")) == pytest.approx(value, rel=5.1e-4, abs=1e-300)
    if number(value).lstrip("−").partition("·")[0].isdigit():
        assert value == float(back.replace("·10", "e"))


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.97, "97 %"), (0.985, "98.5 %"), (0.0, "0 %"), (1.0, "100 %"), (1e-6, "less than 0.1 %"),
     (1 - 1e-6, "more than 99.9 %"), (0.011, "1.1 %"), (1.7, "170 %")],
)  # fmt: skip
def test_shares(share, text):
    assert percent(share).replace("\u00a0", " ") == text


def test_long_ones_lose_their_middle():
    assert shown(8) == list(range(8))
    assert shown(20) == [0, 1, 2, 3, None, 18, 19]
    assert shown(20, [5, 3]) == [None, 3, None, 5, None]
    assert shown(20, [0, 1, 19]) == [0, 1, None, 19]


def test_a_matrix_in_latex():
    values = np.arange(6.0).reshape(2, 3)
    assert matrix(values) == "\\begin{bmatrix} 0 & 1 & 2 \\\\ 3 & 4 & 5 \\end{bmatrix}"
    assert matrix(values, rows=[1], columns=[0]) == (
        "\\begin{bmatrix} \\vdots & \\ddots \\\\ 3 & \\cdots \\end{bmatrix}"
    )
