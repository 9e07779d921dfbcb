"""The gate map: v_t -> g_t, the one idea every cell is built from.

A gate reads some of the input x_t, the hidden state h_{t-1} and, through a peephole, the cell
state; forms one weighted sum per unit; and squashes it:

    g_t = squash(W v_t + b),    v_t = what the gate reads

The weights of all gates of a cell are stacked, gate by gate, in the order in which the cell
lists its gates; for the LSTM that is PyTorch's `i f g o`, for the GRU `r z n`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Squash:
    """The non-linearity at the end of a gate map.

    Attributes:
        name: "sigmoid".
        apply: the function.
        slope: its derivative in terms of the *output* y = apply(v), which is what a record
            keeps: the backward pass never needs the pre-activation.
        range: the least and the greatest value it can give.
    """

    name: str
    apply: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    range: tuple[float, float]

    def __hash__(self) -> int:
        return hash(self.name)  # engines look squashes up before every run

    def __reduce__(self) -> str | tuple:
        # The three of this file are the same objects after copying, so that cells stay equal.
        if SQUASHES.get(self.name) is self:
            return _squash_named, (self.name,)
        return Squash, (self.name, self.apply, self.slope, self.range)


SIGMOID = Squash("sigmoid", torch.sigmoid, lambda y: y * (1 - y), (0, 1))
TANH = Squash("tanh", torch.tanh, lambda y: 1 - y * y, (-1, 1))
RELU = Squash("relu", torch.relu, lambda y: (y > 0).to(y.dtype), (0, math.inf))

SQUASHES = {squash.name: squash for squash in (SIGMOID, TANH, RELU)}


def _squash_named(name: str) -> Squash:
    return SQUASHES[name]


@dataclass(frozen=True)
class GateMap:
    """What one gate reads and how it squashes. The forget gate is one instance.

    Attributes:
        name: the public name, a word: "forget_gate".
        letter: its letter in equations: "f".
        squash: the non-linearity.
        reads: what v_t is made of: "x" (x_t), "h" (h_{t-1}), and for a peephole "c_prev"
            (c_{t-1}) or "c" (c_t). A cell raises where it does not know how to run what is named.
    """

    name: str
    letter: str
    squash: Squash
    reads: tuple[str, ...] = ("x", "h")

    @property
    def opens(self) -> bool:
        """Whether it goes from shut, 0, to open, 1: a gate proper, and not a candidate."""
        return self.squash.range == (0, 1)

    @property
    def peephole(self) -> str | None:
        """The cell state this gate peeks at, "c_prev" or "c", or None."""
        return next((v for v in self.reads if v in ("c_prev", "c")), None)


class Weights(NamedTuple):
    """The weights of one cell: one layer in one direction. G gates, K of them with a peephole."""

    W: Tensor  # (G*H, I)  input weights
    U: Tensor  # (G*H, P)  recurrent weights; P = H without a projection
    b_x: Tensor | None = None  # (G*H,)  bias of the input term
    b_h: Tensor | None = None  # (G*H,)  bias of the recurrent term: PyTorch keeps two
    V: Tensor | None = None  # (P, H)  projection of the hidden state (Sak et al. 2014)
    p: Tensor | None = None  # (K, H)  peephole weights, one number a unit (Gers et al. 2002)

    @property
    def given(self) -> list[Tensor]:
        """Those that are there, in this order, which is also that of PyTorch's operations."""
        return [tensor for tensor in self if tensor is not None]


def input_term(x: Tensor, w: Weights, G: int) -> Tensor:
    """W x_t + b_x for all G gates, (..., I) -> (..., G, H)."""
    return F.linear(x, w.W, w.b_x).unflatten(-1, (G, -1))


def recurrent_term(h: Tensor, w: Weights, G: int) -> Tensor:
    """U h_{t-1} + b_h for all G gates, (..., P) -> (..., G, H)."""
    return F.linear(h, w.U, w.b_h).unflatten(-1, (G, -1))
