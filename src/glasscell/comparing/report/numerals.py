"""How a comparison's numbers are written, on the page and on a terminal alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

Told = Callable[["CellResult"], str]

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


def chosen(cells: Sequence[CellResult]) -> list[tuple[str, Told]]:
    """What trainings were told, a column each: the name, and how it stands for a cell. Dropout and
    the size of embeddings only where somebody chose them."""

    def learning_rate(cell: CellResult) -> str:
        return "" if cell.learning_rate is None else f"{cell.learning_rate:.2g}"

    found: list[tuple[str, Told]] = [("learning rate", learning_rate)]
    sizes = [run.size for cell in cells for run in cell.runs]
    if any(size.dropout for size in sizes):
        found.append(("dropout", lambda cell: f"{cell.runs[0].size.dropout:g}"))
    if any(size.embedding is not None for size in sizes):
        found.append(("embedding", lambda cell: str(cell.runs[0].size.embedding or "")))
    return found
