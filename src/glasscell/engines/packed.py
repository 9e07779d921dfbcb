"""The native engine's weights: packed for its kernels once, and kept while they stay the same."""

import math
import weakref
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from glasscell.cells import (
    GRU,
    HARD_SIGMOID,
    HARD_TANH,
    IDENTITY,
    LSTM,
    POSITIVE,
    RELU,
    RNN,
    SIGMOID,
    SLSTM,
    TANH,
    Cell,
    NormalisedGRU,
    NormalisedLSTM,
    Squash,
    Weights,
)
from glasscell.errors import InputError

# The codes by which the kernels know them.
KINDS: dict[tuple[type[Cell], int], int] = {  # by how many gates there are
    (LSTM, 4): 0,
    (GRU, 3): 1,
    (RNN, 1): 2,
    (LSTM, 3): 3,
    (LSTM, 2): 4,
    (GRU, 2): 5,
    (SLSTM, 4): 6,
    (NormalisedLSTM, 4): 7,
    (NormalisedGRU, 3): 8,
}
DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}
SQUASHES = {
    SIGMOID: 0,
    TANH: 1,
    RELU: 2,
    IDENTITY: 3,
    HARD_SIGMOID: 4,
    HARD_TANH: 5,
    POSITIVE: 6,
}
SHARING = {None: 0, "complement": 1, "normalized": 2}
STOCHASTIC = {None: 0, "bernoulli": 1, "gumbel": 2}

MaybeTensor = TypeVar("MaybeTensor", Tensor, Tensor | None)


@cache
def kernels() -> Any | None:
    """The compiled module, or None where it was not built or cannot be loaded."""
    try:
        return import_module("glasscell._kernels")
    except ImportError:
        return None


def _code(squash: Squash) -> int:
    # an sLSTM's kernel knows where exponentials stand, and asks for no code
    return SQUASHES.get(squash, 0)


def address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def contiguous(tensor: MaybeTensor) -> MaybeTensor:
    if tensor is None or (tensor.is_contiguous() and not tensor.is_neg()):
        return tensor
    return tensor.detach().resolve_neg().contiguous()


def version(tensor: Tensor) -> int:
    """How often it was written to, as far as autograd knows; inference tensors don't say."""
    return 0 if tensor.is_inference() else tensor._version


class Kept(NamedTuple):
    """Weights in the kernels' layout, and what tells whether they are still those weights."""

    key: list  # the cell, and where each tensor lies in which version
    addresses: list[int]  # of the weights, where they are watched
    packed: Any


# By the identity of the input weights W, for as long as that tensor lives.
kept_weights: dict[int, Kept] = {}


def packed(cell: Cell, w: Weights) -> Any:
    """The weights as the kernels read them; packed anew only where they have changed, or are not
    contiguous.

    A change through autograd or an optimizer shows in the tensors' versions. One that does not,
    through `.data`, NumPy or another process, shows in the fingerprint of their bytes.
    """
    module = kernels()
    assert module is not None
    key: list = [cell, module.variant(), w.W.dtype]
    for tensor in w:
        if tensor is not None:
            key += (tensor.data_ptr(), version(tensor), tensor.shape, tensor.stride())
    threads = torch.get_num_threads()
    kept = kept_weights.get(id(w.W))
    if kept is not None and kept.key == key and kept.packed.holds(kept.addresses, threads):
        return kept.packed
    _check(cell, w)
    whole = [contiguous(tensor) for tensor in w]  # alive until the kernels have read them
    addresses = kernels_weights(whole)
    packed = _pack(module, cell, w, addresses, threads)
    if all(a is b for a, b in zip(w, whole, strict=True)):  # copies are not worth keeping
        if kept is None:
            weakref.finalize(w.W, kept_weights.pop, id(w.W), None)
        kept_weights[id(w.W)] = Kept(key, addresses, packed)
    return packed


def kernels_weights(w: Sequence[Tensor | None]) -> list[int]:
    """The addresses of weights, or of their gradients, as the kernels take them: all but S."""
    return [address(t) for letter, t in zip(Weights._fields, w, strict=True) if letter != "S"]


def _check(cell: Cell, w: Weights) -> None:
    """Raises where a weight is not what the others say: kernels are given bare addresses."""
    (rows, I), P = w.W.shape, w.U.shape[1]
    H = rows // cell.G
    shapes = cell.shapes(I, H, P)
    expected = {letter: shapes.get(letter) for letter in w._fields}
    expected["V"] = (P, H) if w.V is not None or P != H else None
    for letter in ("b_x", "b_h"):
        if getattr(w, letter) is None:
            expected[letter] = None
    for name, shape in expected.items():
        tensor = getattr(w, name)
        found = None if tensor is None else tuple(tensor.shape)
        if found != shape:
            raise InputError(f"{name}: expected {shape}, got {found}")
        if tensor is not None and (tensor.dtype != w.W.dtype or not tensor.is_cpu):
            raise InputError(
                f"{name}: expected {w.W.dtype} on the CPU, got {tensor.dtype} on {tensor.device}"
            )


def _pack(module: Any, cell: Cell, w: Weights, addresses: list[int], threads: int) -> Any:
    gates = list(cell.gates)
    peepholes = cell.peepholes
    slots, sharing, complement = [-1] * 4, None, 1.0
    if isinstance(cell, LSTM):
        places = (cell.input_gate, cell.forget_gate, cell.candidate, cell.output_gate)
        slots = [-1 if gate is None else gates.index(gate) for gate in places]
        sharing, complement = cell.sharing, math.exp(cell.beta)
    none = [0] * (4 - len(gates))
    return module.Packed(
        KINDS[type(cell), cell.G],
        DTYPES[w.W.dtype],
        w.W.shape[1],
        w.W.shape[0] // cell.G,
        w.U.shape[1],
        bool(cell.gates_in("U")),
        [_code(gate.squash) for gate in gates] + none,
        _code(cell.output_squash) if isinstance(cell, (LSTM, NormalisedLSTM)) else 0,
        [peepholes.index(g.name) if g.peephole else -1 for g in gates] + [-1 for _ in none],
        slots,
        SHARING[sharing],
        complement,
        [STOCHASTIC[gate.stochastic] for gate in gates] + none,
        [gate.temperature for gate in gates] + [1.0 for _ in none],
        isinstance(cell, SLSTM) and cell.forgetting == "sigmoid",
        addresses,
        threads,
    )
