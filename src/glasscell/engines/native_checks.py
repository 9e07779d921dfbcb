"""What the kernels are given is looked at before: they take bare addresses."""

import torch
from torch import Tensor

from glasscell.engines.call import Call, Steps
from glasscell.engines.native_call import width_of_q
from glasscell.errors import InputError


def check_inputs(call: Call) -> None:
    """Raises where a tensor is not what the call says: kernels are given bare addresses.

    The weights are looked at when they are packed.
    """
    cell, w, x, packing, h_0, c_0, _, _, edits, *_ = call
    I, H, P = w.W.shape[1], call.H, w.U.shape[1]
    B, dtype = packing.B, w.W.dtype
    _check("x", x, (packing.N, I), dtype)
    _check("h_0", h_0, (B, P), dtype)
    if cell.has_cell_state:
        _check("c_0", c_0, (B, cell.C * H), dtype)
    if call.noise is not None and call.noise.mask is not None:
        _check("noise.mask", call.noise.mask, (B, P), dtype)
    for edit in edits:
        R, width = len(edit.scale), P if edit.quantity == "hidden" else H
        _check("edit.rows", edit.rows, (packing.N,), torch.int64)
        _check("edit.scale", edit.scale, (R, width), dtype)
        _check("edit.shift", edit.shift, (R, width), dtype)


def check_steps(call: Call, steps: Steps, prefix: str) -> None:
    """The same for what a backward is given: steps that are kept, or gradients of them."""
    N, G, C, dtype = call.packing.N, call.cell.G, call.cell.C, call.x.dtype
    H, P, exact = call.H, call.weights.U.shape[1], torch.promote_types(dtype, torch.float32)
    q = N, width_of_q(call)
    shapes = Steps((N, P), (N, C * H), (N, G, H), (N, G, H), q)  # type: ignore[arg-type]
    for name, tensor, shape in zip(Steps._fields, steps, shapes, strict=True):
        if tensor is not None:
            _check(prefix + name, tensor, shape, exact if name == "c" else dtype)  # type: ignore[arg-type]


def _check(name: str, tensor: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if tensor is None or tensor.shape != shape or tensor.dtype != dtype or not tensor.is_cpu:
        found = (
            "none" if tensor is None else f"{tuple(tensor.shape)} {tensor.dtype} {tensor.device}"
        )
        raise InputError(f"{name}: expected {shape} {dtype} cpu, got {found}")
