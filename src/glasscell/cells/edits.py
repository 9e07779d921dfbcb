"""Edits of a step: some of what it computes is changed, and what follows reads the change.

    q' = scale * q + shift         or q' = shift where scale is NaN: there q is replaced

A quantity is edited where its equation ends: a gate after its squash, the cell state before the
output gate may peek at it and before it is shown, the hidden state after its projection. Edits one
after the other are one edit again.
"""

from collections.abc import Mapping

import torch
from torch import Tensor


class StepEdits:
    """The edits of one step, for B sequences. With N rows they are those of many steps.

    Args:
        of: for each quantity that is edited, by its public name, scale and shift, (B, H) each;
            of a hidden state (B, P).
    """

    def __init__(self, of: Mapping[str, tuple[Tensor, Tensor]] | None = None) -> None:
        self.of = of or {}

    def __bool__(self) -> bool:
        return bool(self.of)

    def apply(self, quantity: str, q: Tensor) -> Tensor:
        """q' from q; the same q where nothing edits this quantity."""
        if quantity not in self.of:
            return q
        scale, shift = self.of[quantity]
        return torch.where(scale.isnan(), shift, kept(scale) * q + shift)

    def backward(self, quantity: str, dq: Tensor) -> Tensor:
        """dL/dq from dL/dq'."""
        if quantity not in self.of:
            return dq
        scale, _ = self.of[quantity]
        return torch.where(scale.isnan(), 0, scale * dq)


UNEDITED = StepEdits()


def composed(first: tuple[Tensor, Tensor], then: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Scale and shift of two edits, one after the other."""
    (scale, shift), (next_scale, next_shift) = first, then
    # q is replaced whichever of the two replaces it; but what the first put there, by the second
    replaced = scale.isnan() | next_scale.isnan()
    stays, next_stays = kept(scale), kept(next_scale)
    moved = next_stays * shift + next_shift
    return (
        (stays * next_stays).masked_fill(replaced, torch.nan),
        torch.where(next_scale.isnan(), next_shift, moved),
    )


def kept(scale: Tensor) -> Tensor:
    """dq'/dq: what stays of q, nothing where it is replaced. Never NaN, which autograd would
    multiply.
    """
    return scale.masked_fill(scale.isnan(), 0)
