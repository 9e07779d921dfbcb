"""One call over one sequence batch: choose an engine, run it, hand back its record.

Arguments have been checked by the layer that made the call; here they are only asserted.
"""

from torch import Tensor

from glasscell.cells import Cell, Weights
from glasscell.engines import Call, Record, choose
from glasscell.engines.fused import FUSED_STEPS, fused_step
from glasscell.engines.transforms import active_transform


def run(call: Call, engine: str = "auto") -> Record:
    """Runs a call with the engine asked for, or the fastest that can.

    Raises:
        EngineError: the engine asked for cannot run this call.
    """
    _assert_whole(call)
    return choose(call, engine).run(call)


def step(cell: Cell, x: Tensor, h: Tensor, c: Tensor | None = None, *, w: Weights) -> tuple:
    """One step for B sequences: x (B, I), h (B, P), c (B, H) -> (h,) or (h, c) after it."""
    if cell in FUSED_STEPS and not active_transform((x, h, c, *w.tensors())):
        return fused_step(cell, x, h, c, w)
    after = cell.step(x, h, c, w)
    return (after.h,) if after.c is None else (after.h, after.c)


def _assert_whole(call: Call) -> None:
    w, packing = call.weights, call.packing
    assert packing.T > 0
    assert call.x.shape == (packing.N, w.W.shape[1])
    assert call.h_0.shape == (packing.B, w.U.shape[1])
    assert (call.c_0 is not None) == call.cell.has_cell_state
