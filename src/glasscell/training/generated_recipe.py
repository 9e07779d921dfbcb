"""How to train on sequences that are made on the fly, and what is measured on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from glasscell.errors import InputError


@dataclass(frozen=True)
class GeneratedRecipe:
    """How to train.

    Attributes:
        steps: the most updates of the weights.
        batch: sequences an update.
        learning_rate: Adam's, at the start.
        decay: whether it falls to nothing over the steps (or the time, where there is a limit to
            it that comes first), in a straight line.
        clip: the largest norm of the gradient of all weights together; what is longer is
            shortened to it (Pascanu et al. 2013). 0 leaves all as they are.
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
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate: expected more than 0, got {self.learning_rate}")
        if not 0 <= self.clip < math.inf:
            raise InputError(f"clip: expected 0 or more, got {self.clip}")


@dataclass(frozen=True)
class Measured:
    """What was measured after so many updates.

    Attributes:
        step: updates made.
        loss: the mean since the last time.
        score: on the held sequences.
        seconds: since training began, measuring included.
        details: what else the task has to say of its answers, on the held sequences.
    """

    step: int
    loss: float
    score: float
    seconds: float = 0.0
    details: Mapping[str, float] = field(default_factory=dict)
