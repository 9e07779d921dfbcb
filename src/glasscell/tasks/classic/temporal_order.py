"""Temporal order (Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", task 6a)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from glasscell.errors import InputError
from glasscell.tasks.generated import Batch, Goal

SYMBOLS = ("E", "B", "a", "b", "c", "d", "X", "Y")  # start, end, four distractors, two that count
CLASSES = ("XX", "XY", "YX", "YY")


@dataclass(frozen=True)
class TemporalOrder:
    """Two symbols among many count: X or Y, twice. Which came, and in which order?

    Inputs are (T, B, 8), one symbol a step, one-hot: E at the start, B at the end, distractors
    a, b, c, d between them, and an X or a Y at two steps: one from T/10 to T/5, the other from
    T/2 to 3T/5 (in the paper 10 to 20 and 50 to 60, of 100 to 110). Targets are (B,): the place
    in `CLASSES`. Scored by the share told right.

    Args:
        T: steps, at least 10.

    Example:
        >>> from glasscell.tasks.classic import TemporalOrder
        >>> from glasscell.tasks.classic.temporal_order import CLASSES, SYMBOLS
        >>> batch = TemporalOrder(T=30).batch(1, torch.Generator().manual_seed(0))
        >>> text = "".join(SYMBOLS[k] for k in batch.inputs[:, 0].argmax(-1))
        >>> CLASSES[batch.targets[0]] == "".join(s for s in text if s in "XY")
        True
    """

    T: int = 100

    name = "temporal_order"
    goal: ClassVar[Goal] = "higher"
    measure = "sequences right"
    input_size = len(SYMBOLS)
    output_size = len(CLASSES)
    every_step = False
    chance = 1 / len(CLASSES)
    optimum = 1.0

    def __post_init__(self) -> None:
        if self.T < 10:
            raise InputError(f"T: expected at least 10 steps, got {self.T}")

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        T, B = self.T, size
        symbols = torch.randint(2, 6, (T, B), generator=generator)
        symbols[0], symbols[-1] = 0, 1
        counting = torch.randint(2, (2, B), generator=generator)  # 0 for X, 1 for Y
        which = torch.arange(B)
        for k, (low, high) in enumerate(((T // 10, T // 5), (T // 2, 3 * T // 5))):
            step = torch.randint(low, high + 1, (B,), generator=generator)
            symbols[step, which] = 6 + counting[k]
        targets = 2 * counting[0] + counting[1]
        return Batch(F.one_hot(symbols, len(SYMBOLS)).float(), targets, torch.full((B,), T))

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of the logits (B, 4), in nats."""
        return F.cross_entropy(outputs, batch.targets)

    def score(self, outputs: Tensor, batch: Batch) -> float:
        right = (outputs.argmax(-1) == batch.targets) & ~outputs.isnan().any(-1)
        return float(right.double().mean())

    def details(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        answers, targets = outputs.argmax(-1), batch.targets
        known = ~outputs.isnan().any(-1)
        first = (answers // 2 == targets // 2) & known
        second = (answers % 2 == targets % 2) & known
        shares = {"first symbol": first, "second symbol": second}
        return {name: float(right.double().mean()) for name, right in shares.items()}
