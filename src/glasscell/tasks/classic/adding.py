"""The adding problem (Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", section 5.4)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from glasscell.errors import InputError
from glasscell.tasks.generated import Batch, Goal

FIRST = 10  # steps, among which the first mark is
NEAR = 0.04  # an answer that is nearer counts as right in the paper


@dataclass(frozen=True)
class Adding:
    """Two of the numbers read are marked: what is 0.5 + (X1 + X2) / 4?

    Inputs are (T, B, 2): a number from -1 to 1, and a mark. The mark is -1 at the first and the
    last step and 1 at two others: one of the first ten, and one of the first T/2 - 1. Elsewhere
    it is 0. Should the first step be among the two, its number counts as 0. Targets are (B,),
    from 0 to 1; scored by the mean squared error.

    In the paper the last sequence is up to T/10 steps longer than the first; here all have T.

    Args:
        T: steps, at least 20.

    Example:
        >>> from glasscell.tasks.classic import Adding
        >>> batch = Adding(T=50).batch(8, torch.Generator().manual_seed(0))
        >>> value, mark = batch.inputs[1:].unbind(-1)  # the first step counts as 0
        >>> answers = 0.5 + (value * (mark == 1)).sum(0) / 4
        >>> torch.allclose(answers, batch.targets)
        True
    """

    T: int = 100

    name = "adding"
    goal: ClassVar[Goal] = "lower"
    measure = "mean squared error"
    input_size = 2
    output_size = 1
    every_step = False
    optimum = 0.0

    def __post_init__(self) -> None:
        if self.T < 20:
            raise InputError(f"T: expected at least 20 steps, got {self.T}")

    @property
    def chance(self) -> float:
        """The mean squared error of always saying 0.5: the variance of (X1 + X2) / 4.

        Each number has variance 1/3. One of the two is the first step, which counts as 0, in 1
        case of 10, and else in 1 of the T/2 - 2 that are left; of all T/2 - 1, where the first
        mark is beyond them.
        """
        half = self.T // 2 - 1
        within = min(half, FIRST) - 1  # first marks after the first step, among the first T/2 - 1
        first = (1 + within / (half - 1) + (FIRST - 1 - within) / half) / FIRST
        return (2 - first) / 3 / 16

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        T, B = self.T, size
        value = 2 * torch.rand(T, B, generator=generator) - 1  # (T, B)
        half = T // 2 - 1
        one = torch.randint(FIRST, (B,), generator=generator)
        other = torch.randint(half - 1, (B,), generator=generator)
        other += other >= one  # any of the first T/2 - 1 but `one`
        if half < FIRST:  # then `one` may lie beyond them, and takes none of them away
            free = torch.randint(half, (B,), generator=generator)
            other = torch.where(one < half, other, free)
        which = torch.arange(B)
        mark = torch.zeros(T, B)
        mark[[0, -1]] = -1.0
        mark[one, which] = 1.0
        mark[other, which] = 1.0
        counted = value.clone()
        counted[0] = 0.0
        targets = 0.5 + (counted[one, which] + counted[other, which]) / 4  # (B,)
        return Batch(torch.stack((value, mark), -1), targets, torch.full((B,), T))

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean squared error of the answers (B, 1)."""
        return F.mse_loss(outputs.squeeze(-1), batch.targets)

    def score(self, outputs: Tensor, batch: Batch) -> float:
        return float(
            self.loss(outputs.double(), Batch(batch.inputs, batch.targets.double(), batch.lengths))
        )

    def details(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        near = (outputs.squeeze(-1) - batch.targets).abs() < NEAR
        return {f"nearer than {NEAR}": float(near.double().mean())}
