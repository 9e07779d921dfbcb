"""How to train: the choices, their defaults, and what follows from them for given data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glasscell.errors import UserError

DEFAULT_EPOCHS = 10.0
LONGEST = 10**12  # epochs, steps or minutes: more than anyone can wait for


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    The run ends at the first of `epochs`, `steps` and `minutes` that is given, and the learning
    rate reaches its floor just there.

    Attributes:
        epochs: passes over the training data; 10 where none of the three is given.
        steps: updates of the weights.
        minutes: time, validation included.
        batch: B, sequences read side by side, over all devices.
        learning_rate: the highest, the task's own by default; the rate rises over `warmup` steps
            (at most a tenth of all), then falls along a cosine to 2 %.
        weight_decay: of AdamW.
        clip: gradients longer than this (L2 norm of all) are shortened to it; 0 leaves them.
        patience: validations without a better figure after which training stops; 0 never.
        validate_every: steps between validations; one epoch, at most 1,000 steps, by default.
        seed: of the first weights and of dropout.
    """

    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None
    batch: int = 16
    learning_rate: float | None = None
    warmup: int = 50
    weight_decay: float = 0.01
    clip: float = 1.0
    patience: int = 5
    validate_every: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.learning_rate is not None and not 0 < self.learning_rate <= 1000:
            raise UserError(
                f"learning_rate: expected more than 0, at most 1000, got {self.learning_rate}"
            )
        for name in ("epochs", "minutes"):
            value = getattr(self, name)
            if value is not None and not (0 < value <= LONGEST):
                raise UserError(f"{name}: expected more than 0, at most {LONGEST:.0e}, got {value}")
        if self.steps is not None and self.steps > LONGEST:
            raise UserError(f"steps: expected at most {LONGEST:.0e}, got {self.steps}")
        for name in ("steps", "batch", "validate_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name}: expected at least 1, got {value}")
        for name in ("warmup", "weight_decay", "clip", "patience"):
            value = getattr(self, name)
            if not (0 <= value < math.inf):
                raise UserError(f"{name}: expected 0 or more, got {value}")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed: expected a whole number from 0, got {self.seed}")


@dataclass(frozen=True)
class Plan:
    """A recipe worked out for some data: when to validate, when to stop, how fast to learn.

    Everything but the time limit follows from the number of steps taken, so that a resumed run
    does what the uninterrupted one would have done.

    Attributes:
        recipe: the choices, the learning rate among them.
        steps_per_epoch: updates in one pass over the training data.
    """

    recipe: Recipe
    steps_per_epoch: int

    @property
    def total_steps(self) -> int | None:
        """Steps after which the run is over; None where only time ends it."""
        recipe = self.recipe
        epochs = recipe.epochs
        if epochs is None and recipe.steps is None and recipe.minutes is None:
            epochs = DEFAULT_EPOCHS
        limits = [] if epochs is None else [max(1, math.ceil(epochs * self.steps_per_epoch))]
        if recipe.steps is not None:
            limits.append(recipe.steps)
        return min(limits, default=None)

    @property
    def validate_every(self) -> int:
        return self.recipe.validate_every or min(self.steps_per_epoch, 1000)

    def fraction(self, step: int, seconds: float) -> float:
        """How much of the run is done, 0 to 1."""
        parts = []
        if (total := self.total_steps) is not None:
            parts.append(step / total)
        if self.recipe.minutes is not None:
            parts.append(seconds / (60 * self.recipe.minutes))
        return min(1.0, max(parts))

    def is_over(self, step: int, seconds: float) -> bool:
        return self.fraction(step, seconds) >= 1

    def validates_at(self, step: int, seconds: float) -> bool:
        """Whether a validation is due once `step` steps are done."""
        return step % self.validate_every == 0 or self.is_over(step, seconds)

    def learning_rate(self, step: int, seconds: float) -> float:
        """The learning rate of step number `step` (from 0)."""
        recipe = self.recipe
        assert recipe.learning_rate is not None
        warmup = min(recipe.warmup, (self.total_steps or 10 * recipe.warmup) // 10)
        rise = min(1.0, (step + 1) / (warmup + 1))
        fall = 0.5 * (1 + math.cos(math.pi * self.fraction(step, seconds)))
        return recipe.learning_rate * rise * (0.02 + 0.98 * fall)
