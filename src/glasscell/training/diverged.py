"""Training that has left the finite numbers is stopped, not gone on with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glasscell.errors import UserError

EVERY = 50  # steps between two looks at an accelerator's losses: each look waits for the device


class TrainingDiverged(UserError):
    """The loss or its gradient became NaN or infinite. `step` says at which step."""

    def __init__(self, step: int, value: float, what: str) -> None:
        self.step = step
        super().__init__(f"the {what} became {value} at step {step}: training stopped")


class LossGuard:
    """Watches the loss of every step, and the length of its gradient.

    On the CPU a bad one is met before the weights are touched; on an accelerator, where looking
    costs time, up to `EVERY` steps later, and the step is still the right one.
    """

    def __init__(self) -> None:
        self._seen: list[tuple[int, str, Tensor]] = []

    def watch(self, step: int, loss: Tensor, gradient: Tensor | None = None) -> None:
        """Takes the loss of a step and the norm of its gradient, before the update."""
        self._seen.append((step, "loss", loss))
        if gradient is not None:
            self._seen.append((step, "gradient", gradient))
        if loss.device.type == "cpu" or len(self._seen) >= 2 * EVERY:
            self.check()

    def check(self) -> None:
        """Raises TrainingDiverged if something taken since the last check is not finite."""
        seen, self._seen = self._seen, []
        if not seen:
            return
        values = torch.stack([value.float() for *_, value in seen]).tolist()
        for (step, what, _), value in zip(seen, values, strict=True):
            if not math.isfinite(value):
                raise TrainingDiverged(step, value, what)

    @staticmethod
    def watch_validation(step: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise TrainingDiverged(step, loss, "validation loss")
