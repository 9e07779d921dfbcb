"""One run on series: what it reads, and how its loss is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glasscell.tasks.series.inputs import InputPlan
from glasscell.tasks.series.model import Forecaster
from glasscell.tasks.series.panel import Panel
from glasscell.tasks.series.parts import Parts
from glasscell.tasks.series.windows import Windows
from glasscell.training.checkpoint import read_run
from glasscell.training.fit import fit
from glasscell.training.hardware import Hardware
from glasscell.training.model_folder import FolderWriter
from glasscell.training.recipe import Plan
from glasscell.training.series_module import SeriesModule, stretches_of
from glasscell.training.series_recipe import SeriesRecipe


@dataclass(frozen=True)
class SeriesFigures:
    """The validation loss of a forecaster.

    Attributes:
        name: of the loss: "pinball loss", or "nats".
    """

    name: str

    def of_loss(self, loss: float) -> dict[str, float]:
        return {"loss": loss}

    def headline(self, figures: Mapping[str, float]) -> tuple[str, str]:
        number = f"{figures['loss']:.4f}"
        return number, f"{self.name} {number}"


def fit_series(
    model: Forecaster,
    plan: InputPlan,
    panel: Panel,
    parts: Parts,
    recipe: SeriesRecipe,
    hardware: Hardware,
    writer: FolderWriter,
    progress: bool,
    *,
    checkpoint: Path | None,
    extended: bool = False,
) -> None:
    """Trains `model` and writes the model folder as it goes; see `train_series`.

    Args:
        plan: how the panel becomes inputs.
        parts: of the panel, by time.
        checkpoint: where to go on from; None starts at the beginning.
        extended: the recipe asks for more than the checkpoint's run did.
    """
    inputs = plan.inputs(panel)
    train_ends, val_ends = parts.ends(panel, "train"), parts.ends(panel, "validation")
    ahead = model.config.ahead
    context = recipe.context
    assert context is not None  # worked out
    train = Windows(
        inputs, panel.offsets, np.zeros(len(panel), int), train_ends, context=context, ahead=ahead
    )
    validation = Windows(
        inputs,
        panel.offsets,
        train_ends,
        val_ends,
        context=context + parts.validation - parts.train,
        ahead=ahead,
    )
    steps = math.ceil(len(stretches_of(train)) / recipe.batch)
    name = "pinball loss" if model.config.output == "quantiles" else "nats"
    fit(
        lambda world: SeriesModule(
            model.train(), train=train, validation=validation, plan=Plan(recipe, steps)
        ),
        SeriesFigures(name),
        recipe,
        hardware,
        writer,
        progress=progress,
        saved=None if checkpoint is None else read_run(checkpoint, model, lambda own: True),
        extended=extended,
    )
