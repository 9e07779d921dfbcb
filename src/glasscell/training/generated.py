"""Training on sequences that are made on the fly: one small loop for all such tasks."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import nn

from glasscell.errors import InputError
from glasscell.tasks.generated import Batch, GeneratedTask


@dataclass(frozen=True)
class GeneratedRecipe:
    """How to train.

    Attributes:
        steps: the most updates of the weights.
        batch: sequences an update.
        learning_rate: Adam's, at the start.
        decay: whether it falls to nothing over the steps, in a straight line.
        clip: the largest norm of the gradient of all weights together; what is longer is
            shortened to it (Pascanu et al. 2013).
        target: a score at which to stop; None for all steps.
        every: updates between two measurements of the score.
        measured_on: sequences that the score is measured on, drawn once, never trained on.
        seed: of the sequences. Weights are the caller's, with their own.
    """

    steps: int = 2000
    batch: int = 32
    learning_rate: float = 5e-3
    decay: bool = False
    clip: float = 1.0
    target: float | None = None
    every: int = 100
    measured_on: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "every", "measured_on"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}: expected more than 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class Measured:
    """What was measured after so many updates: the mean loss since the last time, the score."""

    step: int
    loss: float
    score: float


@dataclass(frozen=True)
class GeneratedRun:
    """How a training went.

    Attributes:
        recipe: as it was asked for.
        history: every measurement; the last is the outcome.
        reached: whether the target was reached; False if there was none.
        seconds: by the clock; cpu_seconds: of the processor, all threads together.
    """

    recipe: GeneratedRecipe
    history: tuple[Measured, ...]
    reached: bool
    seconds: float
    cpu_seconds: float

    @property
    def steps(self) -> int:
        """Updates made."""
        return self.history[-1].step

    @property
    def score(self) -> float:
        """The last score measured."""
        return self.history[-1].score


def train_generated(
    model: nn.Module, task: GeneratedTask, recipe: GeneratedRecipe | None = None
) -> GeneratedRun:
    """Trains a model in place, with Adam (Kingma and Ba 2015), until it scores well enough.

    The same model, task and recipe give the same weights again. The model ends in evaluation
    mode.

    Args:
        model: called as `model(batch.inputs, lengths=batch.lengths)`.
        task: what draws batches, and tells loss and score.
        recipe: how; the defaults if absent.

    Raises:
        InputError: the loss is not a number any more: the learning rate is too high.

    Example:
        >>> from glasscell.tasks.classic import SequenceModel, Turnstile
        >>> from glasscell.training.generated import GeneratedRecipe, train_generated
        >>> task = Turnstile(T=10)
        >>> recipe = GeneratedRecipe(steps=300, target=0.99)
        >>> run = train_generated(SequenceModel(task), task, recipe)
        >>> run.score > task.chance
        True
    """
    recipe = recipe or GeneratedRecipe()
    generator = torch.Generator().manual_seed(recipe.seed)
    held = task.batch(recipe.measured_on, torch.Generator().manual_seed(~recipe.seed % 2**32))
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    clock, cpu = time.perf_counter(), time.process_time()
    history: list[Measured] = []
    reached, total = False, 0.0
    model.train()
    for step in range(1, recipe.steps + 1):
        if recipe.decay:
            left = 1 - (step - 1) / recipe.steps
            optimizer.param_groups[0]["lr"] = recipe.learning_rate * left
        batch = task.batch(recipe.batch, generator)
        loss = task.loss(model(batch.inputs, lengths=batch.lengths), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        total += float(loss.detach())
        if step % recipe.every and step < recipe.steps:
            continue
        since = step - (history[-1].step if history else 0)
        if not math.isfinite(total):
            raise InputError(
                f"learning_rate: training fell apart within {step} updates (the loss is not a "
                f"number); expected a lower one, got {recipe.learning_rate}"
            )
        history.append(Measured(step, total / since, score(model, task, held)))
        total = 0.0
        if _good_enough(history[-1].score, task, recipe):
            reached = True
            break
    model.eval()
    return GeneratedRun(
        recipe, tuple(history), reached, time.perf_counter() - clock, time.process_time() - cpu
    )


def score(model: nn.Module, task: GeneratedTask, batch: Batch) -> float:
    """The score of a model on a batch, in evaluation mode; the model's mode is put back."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = task.score(model(batch.inputs, lengths=batch.lengths), batch)
    model.train(was_training)
    return found


def _good_enough(score: float, task: GeneratedTask, recipe: GeneratedRecipe) -> bool:
    if recipe.target is None:
        return False
    return score >= recipe.target if task.goal == "higher" else score <= recipe.target
