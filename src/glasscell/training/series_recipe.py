"""How a forecaster is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from glasscell.errors import UserError
from glasscell.nn.lines import LayerLine
from glasscell.tasks.series.model import SeriesConfig
from glasscell.training.recipe import Recipe

USUAL_CONTEXT = 500  # steps of a stretch, at most
FEWEST_STEPS = 1500  # updates
LOOKS = 20  # validations in that time


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


def worked_out(recipe: SeriesRecipe, ends: np.ndarray, config: SeriesConfig) -> SeriesRecipe:
    """The recipe with what it leaves open: context, learning rate, how long, when to validate.

    A few series are few updates in a pass, and a forecaster needs some: without another limit it
    makes ten passes, and at least 1,500 updates.

    Args:
        ends: (S,) steps of each series that are trained on.
        config: of the model.
    """
    context = min(recipe.context or USUAL_CONTEXT, int(ends.max()))
    per_epoch = math.ceil(int((-(-ends // context)).sum()) / recipe.batch)
    limits = (recipe.epochs, recipe.steps, recipe.minutes)
    steps = max(FEWEST_STEPS, 10 * per_epoch) if limits == (None,) * 3 else recipe.steps
    often = min(1000, max(per_epoch, (steps or FEWEST_STEPS) // LOOKS))
    return replace(
        recipe,
        context=context,
        steps=steps,
        learning_rate=recipe.learning_rate or default_learning_rate(config.cell, config.hidden),
        validate_every=recipe.validate_every or often,
    )


def default_learning_rate(cell: str, hidden: int) -> float:
    """0.005 for up to 256 units, 0.002 for a plain RNN; in inverse proportion to units above."""
    return (0.002 if LayerLine.read(cell).is_simple else 0.005) * min(1.0, 256 / hidden)
