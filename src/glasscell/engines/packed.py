"""The native engine's weights: packed for its kernels once, and kept while they stay the same."""

import weakref
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

from glasscell.cells import GRU, LSTM, RELU, RNN, SIGMOID, TANH, Cell, Weights

# The codes by which the kernels know them.
KINDS: dict[type[Cell], int] = {LSTM: 0, GRU: 1, RNN: 2}
DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}
SQUASHES = {SIGMOID: 0, TANH: 1, RELU: 2}


@cache
def kernels() -> Any | None:
    """The compiled module, or None where it was not built or cannot be loaded."""
    try:
        return import_module("glasscell._kernels")
    except ImportError:
        return None


def address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def contiguous(tensor: Tensor | None) -> Tensor | None:
    return tensor if tensor is None or tensor.is_contiguous() else tensor.detach().contiguous()


class Kept(NamedTuple):
    """Weights in the kernels' layout, and what tells whether they are still those weights."""

    key: list  # the cell, and where each tensor lies in which version
    fingerprint: int
    packed: Any


# By the identity of the input weights W, for as long as that tensor lives.
kept_weights: dict[int, Kept] = {}


def packed(cell: Cell, w: Weights) -> Any:
    """The weights as the kernels read them; packed anew only where they have changed.

    A change through autograd or an optimizer shows in the tensors' versions. One that does not,
    through `.data`, NumPy or another process, shows in the fingerprint of their bytes.
    """
    module = kernels()
    assert module is not None
    key: list = [cell, module.variant()]
    addresses, sizes = [], []
    for tensor in w:
        if tensor is None:
            addresses.append(0)
            sizes.append(0)
            continue
        key.append(tensor.data_ptr())
        key.append(tensor._version)
        addresses.append(key[-2])
        sizes.append(tensor.nbytes)
    whole: list[Tensor | None] = list(w)
    if not all(tensor is None or tensor.is_contiguous() for tensor in w):
        whole = [contiguous(tensor) for tensor in w]
        addresses = [address(tensor) for tensor in whole]
    threads = torch.get_num_threads()
    fingerprint = module.fingerprint(addresses, sizes, threads)
    kept = kept_weights.get(id(w.W))
    if kept is None:
        weakref.finalize(w.W, kept_weights.pop, id(w.W), None)
    if kept is None or kept.fingerprint != fingerprint or kept.key != key:
        kept = Kept(key, fingerprint, _pack(module, cell, w, addresses, threads))
        kept_weights[id(w.W)] = kept
    return kept.packed


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
