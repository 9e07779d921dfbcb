"""The native engine: C++ kernels for the CPU that keep every gate of every step.

The kernels (`src/glasscell/native/`) take packed tokens and give back the steps; here their
tensors are checked, allocated and handed over by address. Weights are packed into the kernels'
own layout once, and the packed form is kept for as long as the weights stay what they were.
"""

import weakref
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from glasscell.cells import GRU, LSTM, RELU, RNN, SIGMOID, TANH, Cell, Weights
from glasscell.engines.boundary import bounded
from glasscell.engines.call import Call, Record, Steps
from glasscell.engines.precision import dtype_of_run, in_one_dtype
from glasscell.engines.transforms import active_transform

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


class NativeEngine:
    name = "native"

    def refuses(self, call: Call) -> str | None:
        if kernels() is None:
            return "the kernels were not compiled when Glasscell was installed"
        if call.x.device.type != "cpu":
            return f"its kernels are for the CPU, and the tensors are on {call.x.device.type}"
        if transform := active_transform(call.tensors()):
            return f"its kernels do not run under {transform}"
        return _refuses_cell(call.cell) or _refuses_dtype(dtype_of_run(call))

    def hesitates(self, call: Call) -> str | None:
        if call.packing.T == 1:
            return "a single step is over before its weights are found again"
        return None

    def run(self, call: Call) -> Record:
        call = in_one_dtype(call)
        keep_all = call.record or needs_gradient(call)
        if not keep_all:
            with torch.no_grad():
                steps, h_n, c_n = forward(call, keep=False)
            return Record(h=steps.h, h_n=h_n, c_n=c_n)
        steps = bounded(call, self.forward, self.backward)
        c = None if steps.c is None else steps.c.to(call.x.dtype)
        return Record.of(call, steps.h, c, steps.gates, steps.pre)

    def step(self, call: Call) -> tuple[Tensor, Tensor | None]:
        record = self.run(call)
        return record.h, record.c_n

    def forward(self, call: Call) -> Steps:
        return forward(call, keep=True)[0]

    def backward(
        self, call: Call, steps: Steps, grads: Steps, needed: tuple[bool, ...]
    ) -> tuple[Tensor | None, ...]:
        return backward(call, steps, grads, needed)


def _refuses_cell(cell: Cell) -> str | None:
    if type(cell) not in KINDS:
        return f"it has no kernel for a {cell.kind}"
    squashes = [gate.squash for gate in cell.gates]
    if isinstance(cell, LSTM):
        squashes.append(cell.output_squash)
    unknown = [squash.name for squash in squashes if squash not in SQUASHES]
    return f"its kernels do not know the squash {unknown[0]}" if unknown else None


def _refuses_dtype(dtype: torch.dtype) -> str | None:
    if dtype not in DTYPES:
        return f"its kernels compute float32, float64 and bfloat16, not {dtype}"
    return None


def needs_gradient(call: Call) -> bool:
    return torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in call.tensors()
    )


def forward(call: Call, *, keep: bool) -> tuple[Steps, Tensor, Tensor | None]:
    """All steps, and the last states h_n (B, P) and c_n (B, H).

    Args:
        keep: whether gates, cell states and what the backward needs are written down.
    """
    x, h_0, c_0 = (_contiguous(t) for t in (call.x, call.h_0, call.c_0))
    assert x is not None
    packing, cell = call.packing, call.cell
    N, B, G = packing.N, packing.B, cell.G
    P, H = call.weights.U.shape[1], call.weights.U.shape[0] // G
    exact = torch.promote_types(x.dtype, torch.float32)

    h = x.new_empty(N, P)
    h_n = x.new_empty(B, P)
    c_n = x.new_empty(B, H) if cell.has_cell_state else None
    c = gates = pre = q = None
    if keep:
        c = x.new_empty(N, H, dtype=exact) if cell.has_cell_state else None
        gates = x.new_empty(N, G, H)
        q = x.new_empty(N, H) if cell.kind == "gru" else None
    if call.record:
        pre = x.new_empty(N, G, H)
    sizes = _sizes(call)
    packed(call).forward(
        packing.T,
        B,
        N,
        _address(sizes),
        call.reverse,
        [_address(t) for t in (x, h_0, c_0)],
        [_address(t) for t in (h, c, gates, pre, q, h_n, c_n)],
        torch.get_num_threads(),
    )
    return Steps(h=h, c=c, gates=gates, pre=pre, q=q), h_n, c_n


def backward(
    call: Call, steps: Steps, grads: Steps, needed: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """dL/d(each of `Call.tensors()`) that is needed, from dL/d(h, c, gates, pre) of every step."""
    inputs = [_contiguous(t) for t in (call.x, call.h_0, call.c_0)]
    saved = [*inputs, *(_contiguous(t) for t in (steps.h, steps.c, steps.gates, steps.q))]
    given = [_contiguous(t) for t in (grads.h, grads.c, grads.gates, grads.pre)]
    found = [
        torch.empty_like(tensor, memory_format=torch.contiguous_format)
        if tensor is not None and wanted
        else None
        for tensor, wanted in zip(call.tensors(), needed, strict=True)
    ]
    weights = [_contiguous(t) for t in call.weights]
    packing = call.packing
    sizes = _sizes(call)
    packed(call).backward(
        packing.T,
        packing.B,
        packing.N,
        _address(sizes),
        call.reverse,
        [_address(t) for t in weights],
        [_address(t) for t in saved],
        [_address(t) for t in given],
        [_address(t) for t in found],
        [0, 0, 0],
        torch.get_num_threads(),
    )
    return tuple(found)


def _sizes(call: Call) -> Tensor | None:
    """(T,) the batch sizes, for a ragged batch."""
    return None if call.packing.is_dense else torch.tensor(call.packing.batch_sizes)


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().contiguous()


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


# Packed weights


class _Kept:
    """Weights in the kernels' layout, and what tells whether they are still those weights."""

    def __init__(self, key: tuple, packed: Any, prints: list[int]) -> None:
        self.key, self.packed, self.prints = key, packed, prints


_kept: dict[int, _Kept] = {}


def packed(call: Call) -> Any:
    """The call's weights as the kernels read them; packed anew only where they have changed.

    A change through autograd or an optimizer shows in the tensors' versions. One that does not,
    through `.data`, NumPy or another process, shows in the fingerprint of their bytes.
    """
    w, module = call.weights, kernels()
    assert module is not None
    key = (call.cell, *(None if t is None else (t.data_ptr(), t._version, t.shape) for t in w))
    kept = _kept.get(id(w.W))
    contiguous = [_contiguous(t) for t in w]
    prints = [
        0 if t is None else module.fingerprint(t.data_ptr(), t.numel() * t.element_size())
        for t in contiguous
    ]
    if kept is None or kept.key != key or kept.prints != prints:
        kept = _Kept(key, _pack(module, call.cell, w, contiguous), prints)
        if id(w.W) not in _kept:
            weakref.finalize(w.W, _kept.pop, id(w.W), None)
        _kept[id(w.W)] = kept
    return kept.packed


def _pack(module: Any, cell: Cell, w: Weights, contiguous: list[Tensor | None]) -> Any:
    G = cell.G
    squash = [SQUASHES[gate.squash] for gate in cell.gates] + [0] * (4 - G)
    peeking = [k for k, gate in enumerate(cell.gates) if gate.peephole]
    peephole = [peeking.index(k) if k in peeking else -1 for k in range(4)]
    output_squash = SQUASHES[cell.output_squash] if isinstance(cell, LSTM) else 0
    return module.Packed(
        KINDS[type(cell)],
        DTYPES[w.W.dtype],
        w.W.shape[1],
        w.U.shape[0] // G,
        w.U.shape[1],
        squash,
        output_squash,
        peephole,
        [_address(t) for t in contiguous],
        torch.get_num_threads(),
    )
