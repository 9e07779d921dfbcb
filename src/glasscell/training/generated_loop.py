"""A training on sequences that are made on the fly, as it stands: what changes with each step."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from glasscell.errors import InputError
from glasscell.tasks.generated import Detailed, GeneratedTask, is_better
from glasscell.tasks.models import evaluating
from glasscell.training.generated_recipe import GeneratedRecipe, Measured

MOMENTS = ("exp_avg", "exp_avg_sq")  # Adam's, each of its weight's shape


class GeneratedLoop:
    """A model in training, which can be stopped between any two steps and gone on with.

    Attributes:
        model, task, recipe: what is trained on what, and how.
        limit: seconds after which it is over; None for no limit.
        step: updates made.
        loss: of the last one.
        history: every measurement so far.
    """

    def __init__(
        self,
        model: nn.Module,
        task: GeneratedTask,
        recipe: GeneratedRecipe,
        limit: float | None = None,
    ) -> None:
        if limit is not None and not limit > 0:
            raise InputError(f"seconds: expected more than 0, got {limit}")
        self.model, self.task, self.recipe, self.limit = model, task, recipe, limit
        self.step, self.loss = 0, math.nan
        self.history: list[Measured] = []
        self._weights = list(model.parameters())
        self._device = self._weights[0].device
        self._optimizer = torch.optim.Adam(self._weights, lr=recipe.learning_rate)
        self._generator = torch.Generator().manual_seed(recipe.seed)
        held = torch.Generator().manual_seed(~recipe.seed % 2**32)
        self._held = task.batch(recipe.measured_on, held).to(self._device)
        self._total = 0.0  # of the losses since the last measurement
        self._clock, self._cpu = time.perf_counter(), time.process_time()
        model.train()

    @property
    def seconds(self) -> float:
        """By the clock, of all parts of the run together."""
        return time.perf_counter() - self._clock

    @property
    def cpu_seconds(self) -> float:
        """Of the processor, all threads together."""
        return time.process_time() - self._cpu

    @property
    def reached(self) -> bool:
        """Whether the last score is as good as the recipe's target; False if there is none."""
        target = self.recipe.target
        if target is None or not self.history:
            return False
        return not is_better(target, self.history[-1].score, self.task.goal)

    @property
    def fraction(self) -> float:
        """How much of the run is done, 0 to 1."""
        done = self.step / self.recipe.steps
        return min(1.0, done if self.limit is None else max(done, self.seconds / self.limit))

    @property
    def is_over(self) -> bool:
        return self.reached or self.fraction >= 1

    def update(self) -> None:
        """One step: draws sequences, and moves the weights."""
        recipe, task = self.recipe, self.task
        if recipe.decay:
            rate = recipe.learning_rate * (1 - self.fraction)
            self._optimizer.param_groups[0]["lr"] = rate
        batch = task.batch(recipe.batch, self._generator).to(self._device)
        loss = task.loss(self.model(batch.inputs, lengths=batch.lengths), batch)
        self._optimizer.zero_grad()
        loss.backward()
        if recipe.clip:
            nn.utils.clip_grad_norm_(self._weights, recipe.clip)
        self._optimizer.step()
        self.step += 1
        self.loss = float(loss.detach())
        self._total += self.loss

    def measure(self) -> Measured:
        """The score on the held sequences, which is added to the history.

        Raises:
            InputError: loss or score is not a number any more.
        """
        self.check()
        with evaluating(self.model):
            outputs = self.model(self._held.inputs, lengths=self._held.lengths)
            score = self.task.score(outputs, self._held)
            task: object = self.task
            more = task.details(outputs, self._held) if isinstance(task, Detailed) else {}
        since = self.step - (self.history[-1].step if self.history else 0)
        if math.isnan(score):
            raise self._fell_apart()
        self.history.append(Measured(self.step, self._total / since, score, self.seconds, more))
        self._total = 0.0
        return self.history[-1]

    def check(self) -> None:
        """Raises InputError if a loss since the last measurement was not a number."""
        if not math.isfinite(self._total):
            raise self._fell_apart()

    def _fell_apart(self) -> InputError:
        return InputError(
            f"learning_rate: training fell apart within {self.step} updates (the loss is not a "
            f"number); expected a lower one, got {self.recipe.learning_rate}"
        )

    # Where it stands, to be gone on with

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run depends on, as tensors and plain numbers."""
        moments = [self._optimizer.state[weight] for weight in self._weights]
        return {
            "step": self.step,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "loss": self.loss,
            "total": self._total,
            "history": [asdict(each) for each in self.history],
            "model": self.model.state_dict(),
            "moments": [{name: each[name] for name in MOMENTS if name in each} for each in moments],
            "sequences": self._generator.get_state(),
            "noise": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from where a run of the same model, task and recipe stood.

        Sets torch's own generator too: layers with noise draw from it.
        """
        self.step, self.loss, self._total = state["step"], state["loss"], state["total"]
        self._clock -= state["seconds"]
        self._cpu -= state["cpu_seconds"]
        self.history = [Measured(**each) for each in state["history"]]
        self.model.load_state_dict(state["model"])
        own = self._optimizer.state_dict()
        own["state"] = {
            k: {"step": torch.tensor(float(self.step)), **each}
            for k, each in enumerate(state["moments"])
            if each
        }
        self._optimizer.load_state_dict(own)
        self._generator.set_state(state["sequences"])
        torch.set_rng_state(state["noise"])
