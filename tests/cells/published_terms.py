"""What the equations of the literature are made of: squashes, and each gate's terms by its letter.

Nothing here, nor in the other files named `published`, comes from the package.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
Step = dict[str, Array]


@dataclass(frozen=True)
class Rows:
    """The letters of the gates that have weights of a kind, in the order of their rows.

    Attributes:
        x: gates with rows in W and b_x.
        h: gates with rows in U and b_h.
        p: gates with a row in p.
    """

    x: str
    h: str
    p: str = ""


@dataclass(frozen=True)
class Noise:
    """What is drawn for one step, given.

    Attributes:
        keep_h: zoneout's mask of h, (B, P) or a number: how much of h_{t-1} stays.
        keep_c: zoneout's mask of c, (B, H) or a number.
        uniform: letters of stochastic gates -> uniform numbers (B, H).
        mask: (B, P); every product with U reads mask * h_{t-1}, or where it takes something made
            of h_{t-1}, mask times that: what is dropped are columns of U.
    """

    keep_h: Array | float | None = None
    keep_c: Array | float | None = None
    uniform: Mapping[str, Array] = field(default_factory=dict)
    mask: Array | None = None


@dataclass(frozen=True)
class Terms:
    """A step's input, the state before it, and the weights, asked for gate by gate."""

    x: Array  # (B, I)
    before: Mapping[str, Array]
    w: Mapping[str, Array]
    rows: Rows
    noise: Noise

    @property
    def h_read(self) -> Array:
        """h_{t-1} as products see it, (B, P)."""
        return self.read(self.before["h"])

    def read(self, v: Array) -> Array:
        """What a product with U reads where it would read v, h_{t-1} or made of it, (B, P)."""
        return v if self.noise.mask is None else self.noise.mask * v

    def _block(self, name: str, letters: str, letter: str) -> Array:
        height = self.w[name].shape[0] // len(letters)
        start = letters.index(letter) * height
        return self.w[name][start : start + height]

    def bias(self, name: str, letter: str) -> Array | float:
        """The gate's part of b_x or b_h; 0 where there is none."""
        letters = self.rows.x if name == "b_x" else self.rows.h
        absent = self.w.get(name) is None or letter not in letters
        return 0.0 if absent else self._block(name, letters, letter)

    def W(self, letter: str) -> Array:
        """W_k x_t, without a bias."""
        return self.x @ self._block("W", self.rows.x, letter).T

    def U(self, letter: str, h: Array | None = None) -> Array:
        """U_k h_{t-1}, or U_k of what is given instead, without a bias."""
        read = self.h_read if h is None else h
        return read @ self._block("U", self.rows.h, letter).T

    def from_x(self, letter: str) -> Array:
        return self.W(letter) + self.bias("b_x", letter)

    def from_h(self, letter: str, h: Array | None = None) -> Array:
        return self.U(letter, h) + self.bias("b_h", letter)

    def both(self, letter: str) -> Array:
        """W_k x_t + b_k + U_k h_{t-1} + b'_k."""
        return self.from_x(letter) + self.from_h(letter)

    def peephole(self, letter: str, c: Array) -> Array | float:
        """p_k * c; 0 for a gate that has none."""
        return self.w["p"][self.rows.p.index(letter)] * c if letter in self.rows.p else 0.0

    def drawn(self, letter: str, gate: Array) -> Array:
        """The gate, or where it is stochastic 1 with the gate's probability and else 0."""
        if letter not in self.noise.uniform:
            return gate
        return (self.noise.uniform[letter] < gate).astype(float)


def sigmoid(v: Array) -> Array:
    return np.exp(log_sigmoid(v))


def log_sigmoid(v: Array) -> Array:
    return -np.logaddexp(0, -v)


def hard_sigmoid(v: Array) -> Array:
    return np.clip(v / 6 + 0.5, 0, 1)


def hard_tanh(v: Array) -> Array:
    return np.clip(v, -1, 1)


def identity(v: Array) -> Array:
    return v


def relu(v: Array) -> Array:
    return np.maximum(v, 0)


def positive(v: Array) -> Array:
    """Feng et al. 2024, appendix B: g."""
    return np.where(v >= 0, v + 0.5, sigmoid(v))


def norm(v: Array, eps: float = 1e-5) -> Array:
    """Ba et al. 2016, eq. 4, over the last axis, without gain and bias."""
    centred = v - v.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
