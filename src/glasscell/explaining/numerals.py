"""How numbers, vectors and matrices are written: in four digits, long ones without their middle."""

import math
from collections.abc import Sequence

import numpy as np

MOST = 8  # entries in a row that are shown in full
FIRST, LAST = 4, 2  # of a longer one
NARROW = "\u00a0"  # a space at which no line is broken
_HIGH = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float, digits: int = 4) -> str:
    """A number as text: "0.9707", "−92", "1.2·10⁻⁵".

    What has been rounded never looks whole: a gate of 0.9999999 is "1.000" and not "1", and
    99999.7 is "1.000·10⁵".

    Args:
        digits: significant ones.
    """
    mantissa, power = _parts(value, digits)
    text = mantissa.replace("-", "−").replace("inf", "∞")
    return f"{text}·10{power.translate(_HIGH)}" if power else text


def number_latex(value: float, digits: int = 4) -> str:
    """A number as maths: `0.9707`, `1.2 \\cdot 10^{-5}`."""
    mantissa, power = _parts(value, digits)
    if mantissa == "NaN":
        return "\\text{NaN}"
    text = mantissa.replace("inf", "\\infty")
    return f"{text} \\cdot 10^{{{power}}}" if power else text


def _parts(value: float, digits: int) -> tuple[str, str]:
    """The digits of a number and its power of ten, "" if it is written without one."""
    value = float(value)
    if not math.isfinite(value):
        return ("NaN" if value != value else "inf" if value > 0 else "-inf"), ""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value)), ""
    text = f"{value:.{digits}g}"
    if "." not in text and float(text) != value:
        longer = f"{value:.{digits + 2}g}"
        if abs(value) < 10**digits and "." in longer and "e" not in longer:
            text = longer
        else:
            text = f"{value:.{digits - 1}{'e' if 'e' in text else 'f'}}"
    mantissa, _, power = text.partition("e")
    return mantissa, str(int(power)) if power else ""


def percent(share: float) -> str:
    """A share of one as text: "97 %"; what is nearly nothing or nearly all says so."""
    if not math.isfinite(share):
        return number(share)
    hundreds = 100 * share
    if 0 < hundreds < 0.1:
        return f"less than 0.1{NARROW}%"
    if 99.9 < hundreds < 100:
        return f"more than 99.9{NARROW}%"
    near_the_ends = min(abs(hundreds), abs(100 - hundreds)) < 2
    text = f"{hundreds:.1f}" if near_the_ends else f"{hundreds:.0f}"
    return f"{text.removesuffix('.0')}{NARROW}%"


def shown(n: int, chosen: Sequence[int] | None = None, most: int = MOST) -> list[int | None]:
    """Which of n entries are shown, None standing for those left out between, before or after.

    Args:
        chosen: these; if absent all, or of more than `most` the first and the last.
    """
    if chosen is None:
        keep = list(range(n)) if n <= most else [*range(FIRST), *range(n - LAST, n)]
    else:
        keep = sorted(set(chosen))
    entries: list[int | None] = []
    before = -1
    for k in keep:
        if k != before + 1:
            entries.append(None)
        entries.append(k)
        before = k
    return [*entries, None] if before != n - 1 else entries


def column(values: np.ndarray, chosen: Sequence[int] | None = None) -> str:
    """A vector as a column, in LaTeX."""
    rows = ["\\vdots" if k is None else number_latex(values[k]) for k in shown(len(values), chosen)]
    return _bracketed(rows)


def row(values: np.ndarray, chosen: Sequence[int] | None = None) -> str:
    """A vector as a row, in LaTeX."""
    cells = [
        "\\cdots" if k is None else number_latex(values[k]) for k in shown(len(values), chosen)
    ]
    return _bracketed([" & ".join(cells)])


def matrix(
    values: np.ndarray,
    rows: Sequence[int] | None = None,
    columns: Sequence[int] | None = None,
) -> str:
    """A matrix in LaTeX."""
    across = shown(values.shape[1], columns)

    def line(r: int | None) -> str:
        if r is None:
            return " & ".join("\\ddots" if k is None else "\\vdots" for k in across)
        cells = ("\\cdots" if k is None else number_latex(values[r, k]) for k in across)
        return " & ".join(cells)

    return _bracketed([line(r) for r in shown(values.shape[0], rows)])


def size(shape: Sequence[int]) -> str:
    """A shape in words: "(3, 6)", "(3,)"."""
    return str(tuple(int(n) for n in shape))


def _bracketed(rows: Sequence[str]) -> str:
    return "\\begin{bmatrix} " + " \\\\ ".join(rows) + " \\end{bmatrix}"
