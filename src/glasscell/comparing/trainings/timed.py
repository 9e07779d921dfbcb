"""One training by a clock of its own: the processor's time in updates, and nothing else.

Wall-clock time would give less to a training whose neighbours keep the memory busy; the time that
scoring takes would give less to a cell that is scored slowly. So what counts is the processor time
of this process between taking a batch and having changed the weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from glasscell.comparing.workloads import Workload
from glasscell.training.diverged import LossGuard
from glasscell.training.optimizer import optimizer_of
from glasscell.training.recipe import Plan, Recipe

LOOKS = 10  # validations in a training, evenly spread
READING = 0.3  # seconds of processor time in which the speed of reading is measured


@dataclass(frozen=True)
class Limit:
    """How long each training is: one of the two.

    Attributes:
        seconds: of processor time, in updates.
        steps: updates.
    """

    seconds: float | None = None
    steps: int | None = None

    def told(self) -> str:
        """In words."""
        if self.steps is not None:
            return f"exactly {self.steps:,} updates"
        return f"{self.seconds:.3g} seconds of processor time in updates"


@dataclass(frozen=True)
class Look:
    """A score on the way: after so many updates and seconds of training."""

    updates: int
    seconds: float
    score: float


@dataclass
class Timed:
    """How far a training has come.

    Attributes:
        updates, seconds: how long it has been, by updates made and by processor time in them.
        looks: the validations.
        best: the weights that did best in them.
    """

    updates: int = 0
    seconds: float = 0.0
    looks: list[Look] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)


def train(
    model: nn.Module,
    workload: Workload,
    limit: Limit,
    *,
    learning_rate: float,
    seed: int,
    looks: int = LOOKS,
    done: Timed | None = None,
    watch: Callable[[float, Look | None], None] = lambda done, look: None,
) -> Timed:
    """Trains a model in place, and leaves it with the weights that did best on the way.

    AdamW, the learning rate rising, then falling along a cosine to the end of the limit, as
    `glasscell train text` has it.

    Args:
        looks: validations, evenly spread.
        done: filled as it goes on, so that it tells of a training that diverges too.
        watch: told after each update which part is done, and of a validation; it may raise.

    Returns:
        `done`, or a new one, of the whole training.

    Raises:
        TrainingDiverged: the loss, or a score, is not a finite number any more.
    """
    recipe = Recipe(learning_rate=learning_rate, steps=limit.steps)
    if limit.seconds is not None:
        recipe = replace(recipe, minutes=limit.seconds / 60)
    plan = Plan(recipe, steps_per_epoch=1)
    optimizer = optimizer_of(model.parameters(), recipe)
    torch.manual_seed(seed + 1)  # of dropout
    feed, guard = workload.feed(seed), LossGuard()
    done = Timed() if done is None else done
    better = (lambda a, b: a < b) if workload.measure.lower_is_better else (lambda a, b: a > b)
    best: float | None = None
    model.train()
    fraction, looked = 0.0, 0
    while fraction < 1:
        start = time.process_time()
        try:
            optimizer.param_groups[0]["lr"] = plan.learning_rate(done.updates, done.seconds)
            loss = feed.loss(model)
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            guard.watch(done.updates + 1, loss.detach(), norm)
            optimizer.step()
        finally:
            done.seconds += time.process_time() - start
        done.updates += 1
        fraction = plan.fraction(done.updates, done.seconds)
        look = None
        if int(fraction * looks) > looked:
            looked = int(fraction * looks)  # one that a slow update jumped over is left out
            model.eval()
            score = workload.validation(model)
            model.train()
            guard.watch_validation(done.updates, score)
            look = Look(done.updates, done.seconds, score)
            done.looks.append(look)
            if best is None or better(score, best):
                best = score
                done.best = {name: t.detach().clone() for name, t in model.state_dict().items()}
        watch(fraction, look)
    model.load_state_dict(done.best)
    model.eval()
    return done


def tokens_per_second(model: nn.Module, workload: Workload, seconds: float = READING) -> float:
    """How fast a model reads without learning.

    Args:
        seconds: of processor time, for which it is let read.
    """
    model.eval()
    tokens, spent = 0, 0.0
    with torch.inference_mode():
        workload.read(model)  # what is made once is not timed
        while spent < seconds:
            start = time.process_time()
            tokens += workload.read(model)
            spent += time.process_time() - start
    return tokens / spent
