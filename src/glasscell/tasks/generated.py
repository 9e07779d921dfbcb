"""What every task that makes its own sequences has: batches, a loss, a score, and its bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

Goal = Literal["higher", "lower"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences, and what a model should answer.

    Attributes:
        inputs: (T, B, I) numbers, or (T, B) ids; after a sequence's end, anything.
        targets: one for each sequence, (B, ...), or one for each step, (T, B, ...).
        lengths: (B,) real steps of each sequence.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor

    @property
    def real_steps(self) -> Tensor:
        """(T, B) whether a step is before its sequence's end."""
        T = len(self.inputs)
        return torch.arange(T, device=self.lengths.device)[:, None] < self.lengths

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(self.inputs.to(device), self.targets.to(device), self.lengths.to(device))


class GeneratedTask(Protocol):
    """A task that draws as many sequences as one asks for.

    Attributes:
        name: of the task.
        goal: whether a better score is "higher" or "lower".
        chance: the best score that always giving the same answer can have on average, whatever is
            read, and at whichever step.
        optimum: the best score that there can be.
    """

    goal: ClassVar[Goal]

    @property
    def name(self) -> str: ...

    @property
    def chance(self) -> float: ...

    @property
    def optimum(self) -> float: ...

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """So many sequences, drawn with a generator of the caller's."""
        ...

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """What training makes smaller."""
        ...

    def score(self, outputs: Tensor, batch: Batch) -> float:
        """What people compare."""
        ...


@runtime_checkable
class Detailed(Protocol):
    """A task that can say more of its answers than their score."""

    def details(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        """Further shares, 0 to 1, of what was answered, each under the words that say of what."""
        ...


def is_better(score: float, than: float, goal: Goal) -> bool:
    """Whether a score is better than another."""
    return score > than if goal == "higher" else score < than
