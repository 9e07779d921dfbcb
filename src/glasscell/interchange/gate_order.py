"""Stacks of gates in other orders than PyTorch's, and biases where another library keeps one."""

import torch
from torch import Tensor

from glasscell.cells import Cell, Weights


def letters(cell: Cell) -> str:
    """The gates' letters in the order of the rows of the weights: "ifgo"."""
    return "".join(gate.letter for gate in cell.gates)


def reordered(stacked: Tensor, have: str, want: str) -> Tensor:
    """A stack of gates (G*H, ...) in another order.

    Gates that are not wanted are left out; those that are wanted and not there are zeros.

    Args:
        have, want: the gates' letters, in the order of the stack that there is and of the one that
            there is to be.
    """
    if have == want:
        return stacked
    parts = dict(zip(have, stacked.chunk(len(have)), strict=True))
    zeros = torch.zeros_like(stacked[: len(stacked) // len(have)])
    return torch.cat([parts.get(letter, zeros) for letter in want])


def one_bias(w: Weights) -> Tensor | None:
    """The sum of the two biases, of which PyTorch keeps two where one would do."""
    if w.b_x is None or w.b_h is None:
        return w.b_x
    return w.b_x + w.b_h


def two_biases(bias: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """One bias as two: all of it with the input."""
    return (None, None) if bias is None else (bias, torch.zeros_like(bias))
