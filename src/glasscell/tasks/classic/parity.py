"""Delayed parity (Bertschinger and Natschläger 2004, "Real-time computation at the edge of chaos
in recurrent neural networks")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from glasscell.errors import InputError
from glasscell.tasks.generated import Batch, Goal


@dataclass(frozen=True)
class Parity:
    """At each step: of the three bits that came two steps ago and before, are an odd number 1?

    Inputs are (T, B, 1): bits at random, as 1 and -1. Targets are (T, B): the parity of the bits
    of steps t - delay - bits + 1 to t - delay, 1 for odd. The first delay + bits - 1 steps, where
    not all of these bits have come, count nowhere. Scored by the share of steps told right. As
    each bit is drawn for itself, whoever does not know one of them knows nothing.

    Args:
        T: steps.
        bits: how many count; 0 for all since the first.
        delay: steps since the last of them; 0 for the one that is just read.

    Example:
        >>> from glasscell.tasks.classic import Parity
        >>> batch = Parity(T=9, bits=2, delay=1).batch(5, torch.Generator().manual_seed(0))
        >>> bit = batch.inputs[..., 0] > 0
        >>> bool((batch.targets[2:] == (bit[:-2] ^ bit[1:-1])).all())
        True
    """

    T: int = 40
    bits: int = 3
    delay: int = 2

    name = "parity"
    goal: ClassVar[Goal] = "higher"
    measure = "steps right"
    input_size = 1
    output_size = 1
    every_step = True
    chance = 0.5
    optimum = 1.0

    def __post_init__(self) -> None:
        for name in ("bits", "delay"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if not self.first < self.T:
            raise InputError(
                f"T: expected at least {self.first + 1} steps with bits={self.bits} and "
                f"delay={self.delay}, got {self.T}"
            )

    @property
    def first(self) -> int:
        """The first step that counts."""
        return self.delay + max(self.bits, 1) - 1

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        T, B = self.T, size
        bit = torch.randint(2, (T, B), generator=generator)
        ones = F.pad(bit.cumsum(0), (0, 0, 1, 0))  # (T + 1, B) ones before each step
        odd = torch.zeros(T, B)
        until = torch.arange(self.first, T) - self.delay + 1
        since = until - self.bits if self.bits else torch.zeros_like(until)
        odd[self.first :] = ((ones[until] - ones[since]) % 2).float()
        return Batch((2 * bit - 1).float()[..., None], odd, torch.full((B,), T))

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Binary cross-entropy of the logits (T, B, 1), in nats a step."""
        logits = outputs.squeeze(-1)[self.first :]
        return F.binary_cross_entropy_with_logits(logits, batch.targets[self.first :])

    def right(self, outputs: Tensor, batch: Batch) -> Tensor:
        """(T - first, B) whether each answer is right: above 0 says odd. NaN is wrong."""
        answers = outputs.squeeze(-1)[self.first :]
        return ((answers > 0) == (batch.targets[self.first :] > 0)) & ~answers.isnan()

    def score(self, outputs: Tensor, batch: Batch) -> float:
        return float(self.right(outputs, batch).double().mean())

    def details(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        return {"sequences": float(self.right(outputs, batch).all(0).double().mean())}
