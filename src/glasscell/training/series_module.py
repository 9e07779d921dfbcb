"""The forecaster as Lightning trains it: on stretches of all series, in an order that a seed draws.

Which stretches an update reads follows from its number and the seed alone, so that a resumed run
reads what the uninterrupted one would have read.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from glasscell.nn.lines import OWN_LAYERS
from glasscell.tasks.series.model import Forecaster
from glasscell.tasks.series.windows import Batch, Windows
from glasscell.training.recipe import Plan
from glasscell.training.run_module import RunModule

MOST_FORECASTS = 1 << 18  # of an update; from so many steps of a stretch as make them


class SeriesModule(RunModule):
    """Training and validation on stretches of series.

    Args:
        model: what is trained.
        train: the training part.
        validation: the validation part, with what comes before it.
        plan: when to validate, when to stop, how fast to learn.
    """

    model: Forecaster

    def __init__(
        self, model: Forecaster, *, train: Windows, validation: Windows, plan: Plan
    ) -> None:
        super().__init__(model, plan)
        self.train_windows, self.validation_windows = train, validation
        self.stretches = stretches_of(train)  # (M, 2) series and first row
        self.tokens = int(train.ends.sum())
        self.validation_tokens = count(validation)

    def what_is_trained(self) -> str:
        config = self.model.config
        weights = sum(p.numel() for p in self.model.parameters())
        kind = config.cell.upper() if config.cell in OWN_LAYERS else config.cell
        series = len(self.train_windows.ends)
        return (
            f"{config.layers} x {kind} of {config.hidden} units, {weights:,} weights, on "
            f"{self.tokens:,} steps of {series:,} series"
        )

    def on_fit_start(self) -> None:
        self.train_windows.to(self.device)
        self.validation_windows.to(self.device)
        super().on_fit_start()

    def training_batch(self, step: int) -> Batch:
        recipe, per_epoch = self.plan.recipe, self.plan.steps_per_epoch
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step // per_epoch)
        order = torch.randperm(len(self.stretches), generator=generator)
        shift = torch.randint(self.train_windows.context, (), generator=generator)
        k = step % per_epoch
        rows = self.stretches[order[k * recipe.batch : (k + 1) * recipe.batch]]
        own = rows[self.global_rank :: self.trainer.world_size].to(self.device)
        # In each epoch stretches begin elsewhere, but those that hold a whole series.
        whole = self.train_windows.ends[own[:, 0]] <= self.train_windows.context
        starts = torch.where(whole, own[:, 1], own[:, 1] - shift.to(own))
        return self.train_windows.batch(own[:, 0], starts)

    def validation_batches(self) -> Iterator[Batch]:
        windows, size = self.validation_windows, self.plan.recipe.batch
        there = (windows.ends > windows.begins).nonzero()[:, 0]
        own = there[self.global_rank :: self.trainer.world_size]
        for series in own.split(size):
            yield windows.batch(series, windows.ends[series] - windows.context)

    def loss(self, batch: Batch) -> Tensor:
        T, B, ahead = batch.target.shape
        kept = max(1, min(T, MOST_FORECASTS // (B * ahead)))
        h, _ = self.model.read(batch.read)
        if kept < T:  # forecasts from some of the steps, others each time
            steps = torch.randperm(T, device=h.device)[:kept].sort().values
            h, batch = h[steps], batch.at(steps)
        losses = self._losses(self.model.say(h, batch.future), batch)
        return (losses * batch.counts).sum() / batch.counts.sum().clamp_min(1)

    def validation_sum(self, batch: Batch) -> Tensor:
        raw, _ = self.model(batch.read, batch.future)
        return (self._losses(raw.float(), batch) * batch.counts).sum()

    def _losses(self, raw: Tensor, batch: Batch) -> Tensor:
        output = self.model.output
        target = batch.target if output.counts else batch.target - batch.last[..., None]
        return output.loss(raw, target, batch.scale[:, None])


def stretches_of(windows: Windows) -> Tensor:
    """(M, 2) stretches that cover all series, one after the other: series, and first row."""
    counts = -(-windows.ends // windows.context)
    series = torch.arange(len(counts)).repeat_interleave(counts)
    first = torch.cat([torch.arange(int(n)) for n in counts]) if len(counts) else counts
    return torch.stack((series, first * windows.context), -1)


def count(windows: Windows) -> int:
    """How many values of a part are forecast, each as often as it is."""
    there = (windows.ends > windows.begins).nonzero()[:, 0]
    total = 0
    for series in there.split(256):
        total += int(windows.batch(series, windows.ends[series] - windows.context).counts.sum())
    return total
