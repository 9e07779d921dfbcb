"""Training on sequences that are made on the fly: one small loop for all such tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from glasscell.tasks.generated import Batch, GeneratedTask
from glasscell.tasks.models import evaluating
from glasscell.training.generated_loop import GeneratedLoop
from glasscell.training.generated_recipe import GeneratedRecipe, Measured

__all__ = [
    "GeneratedLoop",
    "GeneratedRecipe",
    "GeneratedRun",
    "Measured",
    "score",
    "train_generated",
]

Watcher = Callable[[GeneratedLoop], None]


@dataclass(frozen=True)
class GeneratedRun:
    """How a training went.

    Attributes:
        recipe: as it was asked for.
        history: every measurement, the learning curve; the last is the outcome.
        reached: whether the target was reached; False if there was none.
        seconds: by the clock; cpu_seconds: of the processor, all threads together.
        model: what was trained, as it was given.
    """

    recipe: GeneratedRecipe
    history: tuple[Measured, ...]
    reached: bool
    seconds: float
    cpu_seconds: float
    model: nn.Module = field(default_factory=nn.Module, repr=False, compare=False)

    @property
    def steps(self) -> int:
        """Updates made."""
        return self.history[-1].step

    @property
    def score(self) -> float:
        """The last score measured."""
        return self.history[-1].score


def train_generated(
    model: nn.Module,
    task: GeneratedTask,
    recipe: GeneratedRecipe | None = None,
    *,
    seconds: float | None = None,
    resume: dict[str, Any] | None = None,
    on_measure: Watcher | None = None,
    on_step: Watcher | None = None,
) -> GeneratedRun:
    """Trains a model in place, with Adam (Kingma and Ba 2015), until it scores well enough or its
    steps or its time are used up.

    The same model, task and recipe give the same weights again, where time does not end it. The
    model ends in evaluation mode. The score of the last step is always measured.

    Args:
        model: called as `model(batch.inputs, lengths=batch.lengths)`.
        task: what draws batches, and tells loss and score.
        recipe: how; the defaults if absent.
        seconds: the most time it may take by the clock, measuring included, beside `recipe.steps`.
        resume: the `state_dict()` of a `GeneratedLoop` of the same model, task and recipe, to go
            on from: the weights are then those of a run that was never interrupted, to the bit.
        on_measure: called with the `GeneratedLoop` after each measurement.
        on_step: called with it after each step; what it raises ends the run between two steps.

    Returns:
        The score, the learning curve (`history`: step, seconds, loss, score), and the model.

    Raises:
        InputError: the loss is not a number any more: the learning rate is too high.

    Example:
        >>> from glasscell.tasks.classic import SequenceModel, Turnstile
        >>> from glasscell.training.generated import GeneratedRecipe, train_generated
        >>> task = Turnstile(T=10)
        >>> recipe = GeneratedRecipe(steps=300, target=0.99)
        >>> run = train_generated(SequenceModel(task), task, recipe, seconds=60)
        >>> run.score > task.chance
        True
        >>> run.history[0].step, run.history[0].score == run.history[0].details["sequences"]
        (100, False)
    """
    recipe = recipe or GeneratedRecipe()
    loop = GeneratedLoop(model, task, recipe, seconds)
    if resume is not None:
        loop.load_state_dict(resume)
    over = loop.step > 0 and loop.is_over  # the shortest run has one step
    while not over:
        loop.update()
        over = loop.is_over  # asked once: the clock goes on
        if over or loop.step % recipe.every == 0:
            _measure(loop, on_measure)
            over = over or loop.reached
        if on_step:
            on_step(loop)
    if not loop.history or loop.history[-1].step < loop.step:  # gone on with when all was done
        _measure(loop, on_measure)
    model.eval()
    return GeneratedRun(
        recipe, tuple(loop.history), loop.reached, loop.seconds, loop.cpu_seconds, model
    )


def _measure(loop: GeneratedLoop, watcher: Watcher | None) -> None:
    loop.measure()
    if watcher:
        watcher(loop)


def score(model: nn.Module, task: GeneratedTask, batch: Batch) -> float:
    """The score of a model on a batch, in evaluation mode; the model's mode is put back."""
    with evaluating(model):
        return task.score(model(batch.inputs, lengths=batch.lengths), batch)
