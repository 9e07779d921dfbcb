"""The cells once more, written gate by gate from the literature, for NumPy arrays and tensors.

Nothing here comes from the package. With arrays it is the oracle for values; with tensors,
autograd through it is the oracle for gradients.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

Array = Any  # np.ndarray or Tensor
LETTERS = {"lstm": "ifgo", "gru": "rzn", "rnn": "h"}
Edit = Callable[[str, Array], Array]  # of what goes by a letter: a gate, c, or h


def unedited(letter: str, value: Array) -> Array:
    return value


@dataclass
class OneStep:
    """What one step gives: gates and pre (B, G, H), h (B, P), c (B, H)."""

    pre: Array
    gates: Array
    h: Array
    c: Array = None


@dataclass
class Model:
    """The weights of one layer in one direction, under the letters of the literature."""

    kind: str
    W: Array
    U: Array
    b_x: Array = None
    b_h: Array = None
    V: Array = None
    p: dict[str, Array] = field(default_factory=dict)  # letter of a gate -> (H,)
    relu: bool = False

    def sums(self, x: Array, h: Array, k: int) -> tuple[Array, Array]:
        """W_k x + b_k and U_k h + b'_k of gate k alone."""
        H = self.W.shape[0] // len(LETTERS[self.kind])
        rows = slice(k * H, (k + 1) * H)
        from_x, from_h = x @ self.W[rows].T, h @ self.U[rows].T
        if self.b_x is not None:
            from_x = from_x + self.b_x[rows]
        if self.b_h is not None:
            from_h = from_h + self.b_h[rows]
        return from_x, from_h

    def step(self, x: Array, h: Array, c: Array = None, edit: Edit = unedited) -> OneStep:
        return {"lstm": self.lstm, "gru": self.gru, "rnn": self.rnn}[self.kind](x, h, c, edit)

    def lstm(self, x: Array, h: Array, c: Array, edit: Edit) -> OneStep:
        i_pre, f_pre, g_pre, o_pre = (sum(self.sums(x, h, k)) for k in range(4))
        if "i" in self.p:
            i_pre = i_pre + self.p["i"] * c
        if "f" in self.p:
            f_pre = f_pre + self.p["f"] * c
        i, f, g = edit("i", sigmoid(i_pre)), edit("f", sigmoid(f_pre)), edit("g", tanh(g_pre))
        c_t = edit("c", f * c + i * g)
        if "o" in self.p:
            o_pre = o_pre + self.p["o"] * c_t
        o = edit("o", sigmoid(o_pre))
        h_t = o * tanh(c_t)
        if self.V is not None:
            h_t = h_t @ self.V.T
        h_t = edit("h", h_t)
        return OneStep(stack([i_pre, f_pre, g_pre, o_pre], -2), stack([i, f, g, o], -2), h_t, c_t)

    def gru(self, x: Array, h: Array, _: Array, edit: Edit) -> OneStep:
        (r_x, r_h), (z_x, z_h), (n_x, n_h) = (self.sums(x, h, k) for k in range(3))
        r, z = edit("r", sigmoid(r_x + r_h)), edit("z", sigmoid(z_x + z_h))
        n_pre = n_x + r * n_h
        n = edit("n", tanh(n_pre))
        pre = stack([r_x + r_h, z_x + z_h, n_pre], -2)
        return OneStep(pre, stack([r, z, n], -2), edit("h", (1 - z) * n + z * h))

    def rnn(self, x: Array, h: Array, _: Array, edit: Edit) -> OneStep:
        pre = sum(self.sums(x, h, 0))
        h_t = edit("h", pre * (pre > 0) if self.relu else tanh(pre))
        return OneStep(stack([pre], -2), stack([h_t], -2), h_t)


def sigmoid(v: Array) -> Array:
    return 1 / (1 + exp(-v))


def tanh(v: Array) -> Array:
    return np.tanh(v) if isinstance(v, np.ndarray) else torch.tanh(v)


def exp(v: Array) -> Array:
    return np.exp(v) if isinstance(v, np.ndarray) else torch.exp(v)


def stack(parts: list, axis: int) -> Array:
    return np.stack(parts, axis) if isinstance(parts[0], np.ndarray) else torch.stack(parts, axis)
