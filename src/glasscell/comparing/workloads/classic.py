"""The classic tasks: sequences made on the fly, drawn by the seed."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glasscell.comparing.measure import Measure
from glasscell.comparing.models import Size, usual_learning_rate
from glasscell.nn.lines import LayerLine
from glasscell.tasks.classic import ClassicTask, SequenceModel, task_of
from glasscell.tasks.generated import Batch
from glasscell.training.generated import score

BATCH = 32
MEASURED = 1000  # sequences that are scored, drawn once
HELD = 2**31  # beyond every seed: of the sequences that choose, and of those that are scored
MARGIN = 0.02  # of the way from chance to the best score there can be


class ClassicWorkload:
    """A classic task by its name.

    Args:
        name: a key of `glasscell.tasks.classic.TASKS`.
        T: steps; the task's own if absent.

    Raises:
        UserError: a name that is not known, a length that the task cannot have.
    """

    choices: ClassVar = {}

    def __init__(self, name: str, T: int | None = None) -> None:
        task = task_of(name) if T is None else task_of(name, T=T)
        self.task: ClassicTask = task
        self.description: dict[str, Any] = {"task": "classic", "name": name, "T": T}
        self.title = f"{name.replace('_', ' ')}, T = {task.T}"
        lower = task.goal == "lower"
        self.measure = Measure(
            task.measure,
            lower,
            margin=MARGIN * abs(task.chance - task.optimum),
            digits=5 if lower else 3,
            levels=(("chance", task.chance),),
            optimum=task.optimum,
            bounds=(0.0, math.inf) if lower else (0.0, 1.0),
        )
        self._held = [task.batch(MEASURED, torch.Generator().manual_seed(HELD + k)) for k in (0, 1)]
        self.tokens_per_update = BATCH * len(self._held[0].inputs)
        self.facts = (
            f"{MEASURED} sequences to choose the best moment by and {MEASURED} others to score, "
            f"none of them trained on; an update reads {BATCH} new ones, drawn by the seed",
        )

    def model(self, cell: str, size: Size) -> nn.Module:
        return SequenceModel(self.task, LayerLine.read(cell).opened.text, size.hidden)

    def learning_rate(self, cell: str, hidden: int) -> float:
        return usual_learning_rate(cell, hidden)

    def feed(self, seed: int) -> ClassicFeed:
        return ClassicFeed(self.task, seed)

    def validation(self, model: nn.Module) -> float:
        return score(model, self.task, self._held[0])

    def test(self, model: nn.Module) -> float:
        return score(model, self.task, self._held[1])

    def read(self, model: nn.Module) -> int:
        batch: Batch = self._held[0]
        model(batch.inputs[:, :BATCH], lengths=batch.lengths[:BATCH])
        return int(batch.lengths[:BATCH].sum())


class ClassicFeed:
    """New sequences for each update."""

    def __init__(self, task: ClassicTask, seed: int) -> None:
        self._task = task
        self._generator = torch.Generator().manual_seed(seed)

    def loss(self, model: nn.Module) -> Tensor:
        batch = self._task.batch(BATCH, self._generator)
        return self._task.loss(model(batch.inputs, lengths=batch.lengths), batch)
