"""The copy memory task (Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016, section 4.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from glasscell.errors import InputError
from glasscell.tasks.generated import Batch, Goal


@dataclass(frozen=True)
class Copy:
    """Ten symbols are read; then, after T steps of nothing, they are to be said again in order.

    Inputs are (T + 2 symbols, B, kinds + 2), one-hot: `symbols` symbols of `kinds` kinds at random,
    T - 1 blanks, a mark that says "now", and `symbols` blanks. Targets are the ids that are to be
    said at each step: the blank, whose id is `kinds`, up to the mark and with it one less, then the
    symbols. In the paper's words: T + 10 times the blank, then the ten symbols.

    Scored by the share of the symbols that are said right, each at its step. What remembers
    nothing has a loss of `memoryless_loss`.

    Args:
        T: steps to wait.
        symbols: how many are to be remembered; 10 in the paper.
        kinds: of symbols; 8 in the paper.

    Example:
        >>> from glasscell.tasks.classic import Copy
        >>> batch = Copy(T=30).batch(4, torch.Generator().manual_seed(0))
        >>> read = batch.inputs.argmax(-1)
        >>> bool((batch.targets[-10:] == read[:10]).all()), len(read)
        (True, 50)
    """

    T: int = 100
    symbols: int = 10
    kinds: int = 8

    name = "copy"
    goal: ClassVar[Goal] = "higher"
    measure = "symbols right"
    every_step = True
    optimum = 1.0

    def __post_init__(self) -> None:
        for name, least in (("T", 1), ("symbols", 1), ("kinds", 2)):
            if getattr(self, name) < least:
                raise InputError(f"{name}: expected at least {least}, got {getattr(self, name)}")

    @property
    def input_size(self) -> int:
        return self.kinds + 2

    @property
    def output_size(self) -> int:
        return self.kinds + 1

    @property
    def chance(self) -> float:
        """Always the same symbol: every kind is as likely."""
        return 1 / self.kinds

    @property
    def memoryless_loss(self) -> float:
        """The least loss without a memory: blanks for certain, then every kind as likely
        (10 ln 8 / (T + 20) in the paper), in nats a step."""
        return self.symbols * math.log(self.kinds) / (self.T + 2 * self.symbols)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        S, B = self.symbols, size
        T = self.T + 2 * S
        blank, mark = self.kinds, self.kinds + 1
        said = torch.randint(self.kinds, (S, B), generator=generator)
        read = torch.full((T, B), blank)
        read[:S], read[S + self.T - 1] = said, mark
        targets = torch.full((T, B), blank)
        targets[-S:] = said
        return Batch(F.one_hot(read, self.input_size).float(), targets, torch.full((B,), T))

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of the logits (T + 2 symbols, B, kinds + 1), in nats a step."""
        return F.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten())

    def right(self, outputs: Tensor, batch: Batch) -> Tensor:
        """(T + 2 symbols, B) whether what is likeliest at each step is right. NaN is wrong."""
        return (outputs.argmax(-1) == batch.targets) & ~outputs.isnan().any(-1)

    def score(self, outputs: Tensor, batch: Batch) -> float:
        return float(self.right(outputs, batch)[-self.symbols :].double().mean())

    def details(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        right = self.right(outputs, batch)
        whole = right[-self.symbols :].all(0)
        return {
            "sequences": float(whole.double().mean()),
            "blanks": float(right[: -self.symbols].double().mean()),
        }
