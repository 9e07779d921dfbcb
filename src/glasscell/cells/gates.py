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
from numbers import Real
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
        # Those of this file are the same objects after copying, so that cells stay equal.
        if SQUASHES.get(self.name) is self:
            return _squash_named, (self.name,)
        return Squash, (self.name, self.apply, self.slope, self.range)


SIGMOID = Squash("sigmoid", torch.sigmoid, lambda y: y * (1 - y), (0, 1))
TANH = Squash("tanh", torch.tanh, lambda y: 1 - y * y, (-1, 1))
RELU = Squash("relu", torch.relu, lambda y: (y > 0).to(y.dtype), (0, math.inf))
IDENTITY = Squash("identity", lambda v: v, torch.ones_like, (-math.inf, math.inf))
# clip(v / 6 + 1/2, 0, 1), as in torch.nn.Hardsigmoid and Keras
HARD_SIGMOID = Squash(
    "hard_sigmoid",
    lambda v: (v / 6 + 0.5).clamp(0, 1),  # F.hardsigmoid's own slope is 1/6 in single precision
    lambda y: ((y > 0) & (y < 1)).to(y.dtype) / 6,
    (0, 1),
)
HARD_TANH = Squash("hard_tanh", F.hardtanh, lambda y: (y.abs() < 1).to(y.dtype), (-1, 1))
# v + 1/2 from 0 on, sigmoid(v) below: never negative, so that a scan may take logarithms
# (Feng et al. 2024, "Were RNNs all we needed?", appendix B)
POSITIVE = Squash(
    "positive",
    lambda v: torch.where(v >= 0, v + 0.5, v.sigmoid()),
    lambda y: torch.where(y >= 0.5, 1.0, y * (1 - y)),
    (0, math.inf),
)
# exp(v - m), relative to a stabilizer m >= v (cells/slstm.py), so that it is at most 1
EXPONENTIAL = Squash("exponential", torch.exp, lambda y: y, (0, 1))

SQUASHES = {
    squash.name: squash
    for squash in (
        SIGMOID,
        TANH,
        RELU,
        IDENTITY,
        HARD_SIGMOID,
        HARD_TANH,
        POSITIVE,
        EXPONENTIAL,
    )
}


def _squash_named(name: str) -> Squash:
    return SQUASHES[name]


PEEPHOLES = ("c_prev", "c", "h_own")

# Through which weight, or with which bias, a gate reads what: "tanh_h" is the tanh of h_{t-1}.
READ_THROUGH = {
    "W": ("x",),
    "b_x": ("x",),
    "U": ("h", "tanh_h"),
    "b_h": ("h", "tanh_h"),
    "p": PEEPHOLES,
}


@dataclass(frozen=True)
class GateMap:
    """What one gate reads and how it squashes. The forget gate is one instance.

    Attributes:
        name: the public name, a word: "forget_gate".
        letter: its letter in equations: "f".
        squash: the non-linearity.
        reads: what v_t is made of: "x" (x_t) and "h" (h_{t-1}) through a matrix each; through one
            weight a unit, a peephole, "c_prev" (c_{t-1}), "c" (c_t) or "h_own" (the unit's own
            h_{t-1}). A cell raises where it does not know how to run what is named.
        stochastic: None, or how its value is drawn in training, where what the squash gives are
            odds: "bernoulli" (0 or 1, the gradient passed straight through) or "gumbel" (between
            them, by the Gumbel-sigmoid).
        temperature: of the Gumbel-sigmoid: the lower, the nearer to 0 and 1.
    """

    name: str
    letter: str
    squash: Squash
    reads: tuple[str, ...] = ("x", "h")
    stochastic: str | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.stochastic is None:
            return
        if self.stochastic not in ("bernoulli", "gumbel"):
            raise ValueError(
                f'stochastic: expected "bernoulli", "gumbel" or None, got {self.stochastic!r}'
            )
        if not self.opens or self.squash is EXPONENTIAL:
            raise ValueError(
                f"stochastic: {self.name} ends in {self.squash.name}, which gives no odds; "
                "expected a squash from 0 to 1"
            )
        is_number = isinstance(self.temperature, Real) and not isinstance(self.temperature, bool)
        if not is_number or not 0 < float(self.temperature) < math.inf:
            raise ValueError(f"temperature: expected more than 0, got {self.temperature!r}")

    @property
    def opens(self) -> bool:
        """Whether it goes from shut, 0, to open, 1: a gate proper, and not a candidate."""
        return self.squash.range == (0, 1)

    @property
    def peephole(self) -> str | None:
        """The state this gate peeks at, unit by unit: "c_prev", "c" or "h_own", or None."""
        return next((v for v in self.reads if v in PEEPHOLES), None)


class Weights(NamedTuple):
    """The weights of one cell: one layer in one direction.

    Of its G gates, X read the input and R the hidden state through a matrix (in most cells all of
    them do), and K have a peephole.
    """

    W: Tensor  # (X*H, I)  input weights
    U: Tensor  # (R*H, P)  recurrent weights; P = H without a projection
    b_x: Tensor | None = None  # (X*H,)  bias of the input term
    b_h: Tensor | None = None  # (R*H,)  bias of the recurrent term: PyTorch keeps two
    V: Tensor | None = None  # (P, H)  projection of the hidden state (Sak et al. 2014)
    p: Tensor | None = None  # (K, H)  peephole weights, one number a unit (Gers et al. 2002)
    S: Tensor | None = None  # (3*H, 3*H)  from gates to gates (Greff et al. 2017, FGR)
    a: Tensor | None = None  # (2, G*H)  gains of the normalised terms W x and U h (Ba et al. 2016)
    a_c: Tensor | None = None  # (2, H)  gain and shift of the normalised cell state

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
