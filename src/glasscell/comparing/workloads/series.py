"""One column of a CSV file, forecast one step ahead: the mean absolute scaled error."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glasscell.comparing.measure import Measure
from glasscell.comparing.models import Size, usual_learning_rate
from glasscell.comparing.workloads.workload import DROPOUTS
from glasscell.errors import UserError
from glasscell.tasks.series_steps import SeriesModel, read_series, windows

BATCH, STEPS = 16, 64


class SeriesWorkload:
    """A column, split by time.

    Args:
        file: the CSV file.
        target: the column; may be left out where only one holds numbers.
        time: a column by which rows must be in order.
        sha256: what the file must be; None takes any.

    Raises:
        UserError: a file or a column that cannot be used.
    """

    choices: ClassVar = {"dropout": DROPOUTS}

    def __init__(
        self,
        file: str | os.PathLike[str],
        target: str | None = None,
        time: str | None = None,
        sha256: str | None = None,
    ) -> None:
        found = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        if sha256 not in (None, found):
            raise UserError(f"{file}: the file is not the one that was begun with")
        self.series = series = read_series(file, target, time)
        self.description: dict[str, Any] = {
            "task": "series",
            "file": os.fspath(file),
            "target": series.name,
            "time": time,
            "sha256": found,
        }
        self.title = f"{Path(file).name}: {series.name}"
        self.steps = min(STEPS, series.train - 1)
        self.tokens_per_update = BATCH * self.steps
        naive = ("saying that nothing changes", series.naive_error("test"))
        self.measure = Measure(
            "mean absolute scaled error",
            True,
            margin=0.01,
            levels=(naive,),
            bounds=(0.0, math.inf),
        )
        N = len(series.values)
        self.facts = (
            f"rows 1 to {series.train:,} to train on, to {series.validation:,} to choose the best "
            f"moment by, to {N:,} to score; forecasts of the next row, from all rows before it",
            f"an update reads {BATCH} stretches of {self.steps} rows, drawn by the seed",
        )

    def model(self, cell: str, size: Size) -> nn.Module:
        return SeriesModel(cell, size.hidden, size.dropout)

    def learning_rate(self, cell: str, hidden: int) -> float:
        return usual_learning_rate(cell, hidden)

    def feed(self, seed: int) -> SeriesFeed:
        return SeriesFeed(self.series.values[: self.series.train], self.steps, seed)

    def validation(self, model: nn.Module) -> float:
        return self.series.scaled_error(model, "validation")

    def test(self, model: nn.Module) -> float:
        return self.series.scaled_error(model, "test")

    def read(self, model: nn.Module) -> int:
        inputs, _ = windows(self.series.values, self.steps, BATCH, torch.Generator())
        model(inputs)
        return inputs.numel()


class SeriesFeed:
    """Stretches of the training part, drawn by the seed."""

    def __init__(self, values: Tensor, steps: int, seed: int) -> None:
        self._values, self._steps = values, steps
        self._generator = torch.Generator().manual_seed(seed)

    def loss(self, model: nn.Module) -> Tensor:
        inputs, targets = windows(self._values, self._steps, BATCH, self._generator)
        forecast, _ = model(inputs)
        return F.l1_loss(forecast, targets)
