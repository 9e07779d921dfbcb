"""What weights begin with: draws for a whole cell, and biases that let it remember from the start.

Each function writes into the weights of one layer in one direction. Those with a generator draw
from it, or from torch's own where it is absent.
"""

import math
import numbers

import torch
from torch import Generator, Tensor, nn

from glasscell.cells import Cell, GateMap, Weights
from glasscell.errors import InputError

Random = Generator | None


# Whole cells


@torch.no_grad()
def draw_uniform(cell: Cell, w: Weights, generator: Random = None) -> None:
    """Every weight and bias from U(-1/sqrt(H), 1/sqrt(H)), in torch.nn's order.

    With the same seed a plain cell gets torch.nn's own numbers. Gains begin with 1, their shifts
    with 0, and what a unit reads its own past with is from U(0, 1), so that there are short and
    long memories among an IndRNN's units (Li et al. 2018).

    Example:
        >>> from glasscell.nn import initial
        >>> initial.draw_uniform(lstm.cell, lstm.weights(0), torch.Generator().manual_seed(1))
    """
    bound = 1 / math.sqrt(_hidden_size(cell, w))
    for name, weight in zip(w._fields, w, strict=True):
        if weight is not None and name not in ("a", "a_c"):
            nn.init.uniform_(weight, -bound, bound, generator=generator)
    _set_gains(w)
    _draw_own_past(cell, w, generator)


@torch.no_grad()
def draw_glorot(cell: Cell, w: Weights, generator: Random = None) -> None:
    """Input weights that keep the variance of what passes, and recurrent weights that keep lengths.

    Gate by gate: W from U(-a, a) with a = sqrt(6 / (I + H)) (Glorot and Bengio 2010, eq. 16), U
    orthogonal (Saxe et al. 2014), with orthonormal rows or columns where P < H. The projection is
    drawn as W is, weights from gates to gates as U is. Biases are 0. Peepholes, one weight a unit,
    are from U(-1/sqrt(H), 1/sqrt(H)); gains and an IndRNN's weights as in `draw_uniform`.

    Example:
        >>> from glasscell.nn import initial
        >>> initial.draw_glorot(lstm.cell, lstm.weights(0))
        >>> forget = lstm.weight_hh_l0[8:16]
        >>> torch.allclose(forget @ forget.T, torch.eye(8), atol=1e-5)
        True
    """
    H = _hidden_size(cell, w)
    for block in w.W.split(H):
        nn.init.xavier_uniform_(block, generator=generator)
    for block in w.U.split(H) if len(w.U) else ():
        _draw_orthogonal(block, generator)
    if w.V is not None:
        nn.init.xavier_uniform_(w.V, generator=generator)
    if w.p is not None:
        nn.init.uniform_(w.p, -1 / math.sqrt(H), 1 / math.sqrt(H), generator=generator)
    if w.S is not None:
        for rows in w.S.split(H):
            for block in rows.split(H, dim=1):
                _draw_orthogonal(block, generator)
    _clear_biases(w)
    _set_gains(w)
    _draw_own_past(cell, w, generator)


# Biases of the gate that keeps the state


@torch.no_grad()
def set_forget_bias(cell: Cell, w: Weights, value: float) -> None:
    """Starts the gate that keeps the state with a bias of `value`; other biases stay.

    A positive one keeps the state, and its gradient, before anything is learnt (Gers et al. 2000;
    Jozefowicz et al. 2015: 1 closes the gap between LSTM and GRU). The sum counts:
    b_x gets the value and b_h 0. In a GRU that gate is z; where one gate says both what stays and
    what is written, by its complement, its bias is -value.

    Raises:
        InputError: no finite number, no biases, or no gate that keeps the state.

    Example:
        >>> from glasscell.nn import initial
        >>> initial.set_forget_bias(lstm.cell, lstm.weights(0), 1.0)
        >>> (lstm.bias_ih_l0 + lstm.bias_hh_l0)[8:11].tolist()
        [1.0, 1.0, 1.0]
    """
    value = _number("forget_bias", value)
    gate, sign = _keeping("forget_bias", cell, w)
    _set_bias(cell, w, gate, sign * value)


@torch.no_grad()
def draw_chrono(cell: Cell, w: Weights, longest: float, generator: Random = None) -> None:
    """Biases for memories of all lengths up to `longest` steps (Tallec and Ollivier 2018).

    Each unit draws u from U(1, longest - 1), and its keeping gate begins at u / (1 + u), which
    forgets in about 1 + u steps, and its input gate at 1 / (1 + u): for sigmoids b_f = log u and
    b_i = -log u. Where there is one of them alone, that one. All other biases are 0. A squash
    other than the sigmoid gets the bias that gives the same gate.

    Args:
        longest: T_max, the longest dependency expected, in steps; more than 2.

    Raises:
        InputError: `longest` is no such number; no biases; no gate that keeps the state, or one
            whose squash gives no odds.

    Example:
        >>> from glasscell.nn import initial
        >>> initial.draw_chrono(lstm.cell, lstm.weights(0), 100)
        >>> keeps = torch.sigmoid(lstm.bias_ih_l0[8:16])
        >>> bool((keeps >= 0.5).all() and (keeps <= 0.99).all())
        True
    """
    longest = _number("chrono", longest)
    if not longest > 2:
        raise InputError(f"chrono: expected more than 2 steps, got {longest:g}")
    gate, sign = _keeping("chrono", cell, w)
    u = torch.empty(_hidden_size(cell, w), dtype=_precise(w.W.dtype), device=w.W.device)
    u.uniform_(1, longest - 1, generator=generator)
    begin = {gate: _begin(cell, gate, u if sign > 0 else 1 / u)}
    for other in cell.gates:
        if other.name == "input_gate" and other is not gate:
            begin[other] = _begin(cell, other, 1 / u)
    _clear_biases(w)
    for each, value in begin.items():
        _set_bias(cell, w, each, value)


# Where things lie


def _hidden_size(cell: Cell, w: Weights) -> int:
    return len(w.W) // len(cell.gates_in("W"))


def _keeping(argument: str, cell: Cell, w: Weights) -> tuple[GateMap, int]:
    """The gate that says what stays of the state, and 1, or -1 if it says so by its complement.

    Raises:
        InputError: there is none, or no bias to set.
    """
    found = cell.keeping
    if found is None:
        raise InputError(f"{argument}: a {_told(cell)} has no gate that keeps its state")
    if w.b_x is None:
        raise InputError(f"{argument}: expected a layer with biases, got one with bias=False")
    return found


def _told(cell: Cell) -> str:
    gates = ", ".join(gate.name for gate in cell.gates)
    return f"cell of the kind {cell.kind!r} with {gates}"


def _set_bias(cell: Cell, w: Weights, gate: GateMap, value: Tensor | float) -> None:
    """The sum of a gate's two biases."""
    for letter in ("b_x", "b_h"):
        rows = cell.rows(gate, letter, w)
        if rows is not None:
            rows[:] = value  # rounds to the bias's dtype
            value = 0.0  # the sum counts


def _begin(cell: Cell, gate: GateMap, odds: Tensor) -> Tensor:
    """What goes into a gate that is to begin at odds / (1 + odds).

    Raises:
        InputError: its squash gives no odds.
    """
    begin = cell.sum_at(gate, odds)
    if begin is None:
        raise InputError(
            f"chrono: expected a {gate.name} that ends in a sigmoid, got {gate.squash.name}"
        )
    return begin


def _clear_biases(w: Weights) -> None:
    for bias in (w.b_x, w.b_h):
        if bias is not None:
            nn.init.zeros_(bias)


def _set_gains(w: Weights) -> None:
    if w.a is not None:
        nn.init.ones_(w.a)
    if w.a_c is not None:
        nn.init.ones_(w.a_c[0])
        nn.init.zeros_(w.a_c[1])


def _draw_own_past(cell: Cell, w: Weights, generator: Random) -> None:
    for row, gate in enumerate(cell.gates_in("p")):
        if gate.peephole == "h_own" and w.p is not None:
            nn.init.uniform_(w.p[row], 0, 1, generator=generator)


def _draw_orthogonal(block: Tensor, generator: Random) -> None:
    drawn = torch.empty(block.shape, dtype=_precise(block.dtype), device=block.device)
    block.copy_(nn.init.orthogonal_(drawn, generator=generator))


def _precise(dtype: torch.dtype) -> torch.dtype:
    """In half precision there is no QR decomposition, and 1 + u steps are too coarse."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _number(argument: str, value: float) -> float:
    """A finite real number, checked."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise InputError(f"{argument}: expected a finite number, got {value!r}")
    return float(value)
