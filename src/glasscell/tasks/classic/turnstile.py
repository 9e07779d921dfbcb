"""The turnstile: it counts the coins put in, of two kinds, and opens at the second."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from glasscell.errors import InputError
from glasscell.tasks.generated import Batch, Goal

COINS = ("copper", "silver")
PRICE = 2  # coins, of whichever kind


@dataclass(frozen=True)
class Turnstile:
    """At each step: is it open, that is, have at least two coins been put in so far?

    Inputs are (T, B, 2): 1 for the kind of coin that comes, 0 and 0 for none. Between 0 and
    `most` coins come, each number as likely, at different steps drawn at random, of either kind.
    Targets are (T, B): 1 open, 0 shut. Scored by the share of steps told right.

    Args:
        T: steps.
        most: the largest number of coins.

    Example:
        >>> from glasscell.tasks.classic import Turnstile
        >>> batch = Turnstile(T=20).batch(8, torch.Generator().manual_seed(0))
        >>> bool((batch.targets == (batch.inputs.sum(-1).cumsum(0) >= 2)).all())
        True
    """

    T: int = 20
    most: int = 6

    name = "turnstile"
    goal: ClassVar[Goal] = "higher"
    measure = "steps right"
    input_size = len(COINS)
    output_size = 1
    every_step = True
    optimum = 1.0

    def __post_init__(self) -> None:
        if self.most < 1:
            raise InputError(f"most: expected at least 1 coin, got {self.most}")
        if self.most > self.T:
            raise InputError(
                f"T: expected at least {self.most} steps, one for each coin, got {self.T}"
            )

    @property
    def chance(self) -> float:
        """The share of steps told right by always giving one answer: what is more often true.

        It is shut at most steps at the beginning and open at most later ones, so that to count
        steps alone does better.

        Of n coins at n of T steps at random, the second comes at step 2 (T + 1) / (n + 1) on
        average, counted from 1 (order statistics), and from there the turnstile is open.
        """
        T, counts = self.T, range(self.most + 1)
        shut = [2 * (T + 1) / (n + 1) - 1 if n >= PRICE else T for n in counts]
        share = sum(shut) / (len(counts) * T)
        return max(share, 1 - share)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        T, B = self.T, size
        n = torch.randint(self.most + 1, (B,), generator=generator)
        # A rank for each step, at random: the n steps that rank first have a coin.
        rank = torch.rand(T, B, generator=generator).argsort(0).argsort(0)
        kind = torch.randint(len(COINS), (T, B), generator=generator)
        inputs = F.one_hot(kind, len(COINS)).float() * (rank < n)[..., None]  # (T, B, 2)
        targets = (inputs.sum(-1).cumsum(0) >= PRICE).float()  # (T, B)
        return Batch(inputs, targets, torch.full((B,), T))

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Binary cross-entropy of the logits (T, B, 1), in nats a step."""
        return F.binary_cross_entropy_with_logits(outputs.squeeze(-1), batch.targets)

    def right(self, outputs: Tensor, batch: Batch) -> Tensor:
        """(T, B) whether each step's answer (T, B, 1) is right: above 0 says open. NaN says
        neither, and is wrong.
        """
        answers = outputs.squeeze(-1)
        return ((answers > 0) == (batch.targets > 0)) & ~answers.isnan()

    def score(self, outputs: Tensor, batch: Batch) -> float:
        return float(self.right(outputs, batch).double().mean())

    def details(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        return {"sequences": float(self.right(outputs, batch).all(0).double().mean())}
