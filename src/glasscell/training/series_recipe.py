"""How a forecaster is trained."""

from __future__ import annotations

from dataclasses import dataclass

from glasscell.errors import UserError
from glasscell.nn.lines import LayerLine
from glasscell.training.recipe import Recipe

USUAL_CONTEXT = 500  # steps of a stretch, at most


@dataclass(frozen=True)
class SeriesRecipe(Recipe):
    """A recipe for series, which are read in stretches: `batch` of them side by side.

    Attributes:
        context: T, steps of a stretch; all of the longest series, at most 500, by default.
    """

    batch: int = 32
    context: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context is not None and self.context < 1:
            raise UserError(f"context: expected at least 1, got {self.context}")


def default_learning_rate(cell: str, hidden: int) -> float:
    """0.005 for up to 256 units, 0.002 for a plain RNN; in inverse proportion to units above."""
    return (0.002 if LayerLine.read(cell).is_simple else 0.005) * min(1.0, 256 / hidden)
