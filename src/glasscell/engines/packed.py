"""The native engine's weights: packed for its kernels once, and kept while they stay the same."""

import weakref
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from glasscell.cells import GRU, LSTM, RELU, RNN, SIGMOID, TANH, Cell, Weights
from glasscell.errors import InputError

# The codes by which the kernels know them.
KINDS: dict[type[Cell], int] = {LSTM: 0, GRU: 1, RNN: 2}
DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}
SQUASHES = {SIGMOID: 0, TANH: 1, RELU: 2}

MaybeTensor = TypeVar("MaybeTensor", Tensor, Tensor | None)


@cache
def kernels() -> Any | None:
    """The compiled module, or None where it was not built or cannot be loaded."""
    try:
        return import_module("glasscell._kernels")
    except ImportError:
        return None


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
    addresses = [address(tensor) for tensor in whole][:6]
    packed = _pack(module, cell, w, addresses, threads)
    if all(a is b for a, b in zip(w, whole, strict=True)):  # copies are not worth keeping
        if kept is None:
            weakref.finalize(w.W, kept_weights.pop, id(w.W), None)
        kept_weights[id(w.W)] = Kept(key, addresses, packed)
    return packed


def _check(cell: Cell, w: Weights) -> None:
    """Raises where a weight is not what the others say: kernels are given bare addresses."""
    (rows, I), P, G = w.W.shape, w.U.shape[1], cell.G
    H, K = rows // G, sum(gate.peephole is not None for gate in cell.gates)
    expected = {
        "W": (G * H, I),
        "U": (G * H, P),
        "b_x": (G * H,) if w.b_x is not None else None,
        "b_h": (G * H,) if w.b_h is not None else None,
        "V": (P, H) if w.V is not None or P != H else None,
        "p": (K, H) if K else None,
    }
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
    peeking = [k for k, gate in enumerate(cell.gates) if gate.peephole]
    return module.Packed(
        KINDS[type(cell)],
        DTYPES[w.W.dtype],
        w.W.shape[1],
        w.U.shape[0] // cell.G,
        w.U.shape[1],
        [SQUASHES[gate.squash] for gate in cell.gates] + [0] * (4 - cell.G),
        SQUASHES[cell.output_squash] if isinstance(cell, LSTM) else 0,
        [peeking.index(k) if k in peeking else -1 for k in range(4)],
        addresses,
        threads,
    )
