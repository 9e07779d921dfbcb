"""How a comparison's numbers are written, on the page and on a terminal alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glasscell.comparing.comparison import CellResult


def p_value(p: float) -> str:
    """A p with three digits after the point, or that it is less; "" of none."""
    if math.isnan(p):
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def count(value: float) -> str:
    """A number of things: "12,345"; "" of none."""
    return "" if math.isnan(value) else f"{value:,.0f}"


def memory(cell: CellResult) -> str:
    """How many steps half of the units remember at most, and nine in ten: "12.3, ∞"; "" for a
    cell that writes its whole state anew at each step."""
    if cell.memory_steps is None or cell.longest_steps is None:
        return ""
    return f"{cell.memory_steps:,.1f}, {cell.longest_steps:,.1f}".replace("inf", "∞")
