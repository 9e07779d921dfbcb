"""a^n b^n and a^n b^n c^n (Gers and Schmidhuber 2001, "LSTM recurrent networks learn simple
context-free and context-sensitive languages")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from glasscell.errors import InputError
from glasscell.tasks.classic.legal_next import LegalNext
from glasscell.tasks.generated import Batch
from glasscell.tasks.models import evaluating

AT_ONCE = 64  # strings that are read side by side to see how far a model counts


@dataclass(frozen=True)
class Blocks(LegalNext):
    """n of one letter, then n of the next, and so on. Which may come next? Use `Anbn`, `Anbncn`."""

    T: int = 21
    shortest: int = 1

    name: ClassVar[str]
    letters: ClassVar[int]  # how many there are

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise InputError(f"T: expected at least {1 + self.letters} steps, got {self.T}")
        if not 1 <= self.shortest <= self.longest:
            raise InputError(
                f"shortest: expected from 1 to {self.longest}, which T={self.T} has room for, "
                f"got {self.shortest}"
            )

    @property
    def longest(self) -> int:
        """The largest n that T has room for, with the start."""
        return (self.T - 1) // self.letters

    @property
    def input_size(self) -> int:
        return 1 + self.letters

    @property
    def output_size(self) -> int:
        return self.letters + 1

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        n = torch.randint(self.shortest, self.longest + 1, (size,), generator=generator)
        return self.strings(n.tolist())

    def strings(self, ns: Iterable[int]) -> Batch:
        """The string of each n."""
        n = torch.tensor(list(ns), dtype=torch.int64)  # (B,)
        lengths = self.letters * n + 1
        t = torch.arange(int(lengths.max()))[:, None]
        read = torch.where(t == 0, 0, 1 + (t - 1) // n)  # (T, B) 0 the start, 1 for a, ...
        real = (t < lengths)[..., None]
        # After the last of a block the next letter comes, or the end; of a's one never knows.
        next_one = torch.where((t == 0) | (t == read * n), read, read - 1)
        legal = F.one_hot(next_one.clamp(max=self.letters), self.letters + 1)
        legal[..., :2] |= (read == 1)[..., None]
        inputs = F.one_hot(read.clamp(max=self.letters), self.input_size)
        return Batch((inputs * real).float(), (legal * real).float(), lengths)

    def reach(self, model: nn.Module, up_to: int = 200) -> int:
        """How far a model counts: the largest n, at most `up_to`, such that it is right at every
        step of the strings of 1, 2, ..., n.

        Args:
            model: as the task trains it.
            up_to: beyond which no string is tried.
        """
        device = next((each.device for each in model.parameters()), torch.device("cpu"))
        reached = 0
        with evaluating(model):
            while reached < up_to:
                ns = range(reached + 1, min(reached + AT_ONCE, up_to) + 1)
                batch = self.strings(ns).to(device)
                right = self.right(model(batch.inputs, lengths=batch.lengths), batch).all(0)
                reached += int(right.int().cumprod(0).sum())
                if not bool(right.all()):
                    break
        return reached


@dataclass(frozen=True)
class Anbn(Blocks):
    """Strings of n a's and n b's. Which letters may come next, and is it the end?

    Inputs are (T, B, 3), one-hot: the start, then a's, then b's. Targets are (T, B, 3): whether a,
    b or the end may come after each. After the start it is a, after an a both letters, after a b
    what counting says. n is drawn from `shortest` to `longest`, each as likely. Lengths differ.

    Scored by the share of strings told right at every step. What does not count can be right at
    one n alone: 1/10 with T = 21. What counts well is right at larger n than it was trained on:
    see `reach`.

    Args:
        T: steps of the longest string, 2n + 1.
        shortest: the smallest n.

    Example:
        >>> from glasscell.tasks.classic import Anbn
        >>> batch = Anbn().strings([2])
        >>> "".join("Sab"[k] for k in batch.inputs[:, 0].argmax(-1))
        'Saabb'
        >>> batch.targets[:, 0].tolist()[-2:]  # after the first b a b, and then the end
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    name = "anbn"
    letters = 2


@dataclass(frozen=True)
class Anbncn(Blocks):
    """Strings of n a's, n b's and n c's: as `Anbn`, with a third letter, and two counts to keep.

    Args:
        T: steps of the longest string, 3n + 1.
        shortest: the smallest n.
    """

    T: int = 31

    name = "anbncn"
    letters = 3
