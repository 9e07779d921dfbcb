"""One call over one sequence batch: choose an engine, run it, hand back its record.

Arguments have been checked by the layer that made the call; here they are only asserted.
"""

from dataclasses import replace

import torch
from torch import Tensor

from glasscell.cells import Cell, Weights
from glasscell.engines import Call, Record, choose
from glasscell.engines.fused import FUSED_STEPS, fused_step


def run(call: Call, engine: str = "auto") -> Record:
    """Runs a call with the engine asked for, or the fastest that can.

    Raises:
        EngineError: the engine asked for cannot run this call.
    """
    _assert_whole(call)
    device = call.x.device.type
    if torch.is_autocast_enabled(device):
        call = _cast(call, torch.get_autocast_dtype(device))
        with torch.autocast(device, enabled=False):
            return run(call, engine)
    return choose(call, engine).run(call)


def step(cell: Cell, x: Tensor, h: Tensor, c: Tensor | None = None, *, w: Weights) -> tuple:
    """One step for B sequences: x (B, I), h (B, P), c (B, H) -> (h,) or (h, c) after it."""
    if cell in FUSED_STEPS:
        return fused_step(cell, x, h, c, w)
    after = cell.step(x, h, c, w)
    return (after.h,) if after.c is None else (after.h, after.c)


def _cast(call: Call, dtype: torch.dtype) -> Call:
    """The call in autocast's precision: a recurrence is one operation, and is cast as one."""

    def cast(tensor):
        is_float = tensor is not None and tensor.is_floating_point() and tensor.dtype != torch.double
        return tensor.to(dtype) if is_float else tensor

    w = call.weights
    weights = replace(w, **{name: cast(getattr(w, name)) for name in w.__dataclass_fields__})
    return replace(
        call, x=cast(call.x), h_0=cast(call.h_0), c_0=cast(call.c_0), weights=weights
    )


def _assert_whole(call: Call) -> None:
    w, packing = call.weights, call.packing
    assert packing.T > 0
    assert call.x.shape == (packing.N, w.W.shape[1])
    assert call.h_0.shape == (packing.B, w.U.shape[1])
    assert (call.c_0 is not None) == call.cell.has_cell_state
