"""Languages: after each symbol read, which symbols may come next?"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from glasscell.tasks.generated import Batch, Goal


class LegalNext:
    """What the tasks of formal languages share: their answers, loss and score.

    A model answers with one logit for each symbol at each step; above 0 says that the symbol may
    come next. A step is right if this is so of all symbols that may come, and of no other.
    Targets are (T, B, O): 1 for those that may. Steps after a string's end count nowhere.

    No answer that is always the same is right at every step of a string, in none of these
    languages: chance is 0.
    """

    goal: ClassVar[Goal] = "higher"
    measure = "sequences right"
    every_step = True
    chance = 0.0
    optimum = 1.0

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Binary cross-entropy of the logits (T, B, O), in nats a symbol."""
        real = batch.real_steps
        return F.binary_cross_entropy_with_logits(outputs[real], batch.targets[real])

    def right(self, outputs: Tensor, batch: Batch) -> Tensor:
        """(T, B) whether each step's answer is right; True after a string's end. NaN is wrong."""
        same = ((outputs > 0) == (batch.targets > 0)) & ~outputs.isnan()  # (T, B, O)
        return same.all(-1) | ~batch.real_steps

    def score(self, outputs: Tensor, batch: Batch) -> float:
        """The share of strings that are right at every step, 0 to 1."""
        return float(self.right(outputs, batch).all(0).double().mean())

    def details(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        right = self.right(outputs, batch)[batch.real_steps]
        return {"steps": float(right.double().mean())}
