"""One call over one batch of sequences: choose an engine, run it, hand back its record.

Arguments have been checked by the layer that made the call; here they are only asserted.
"""

from torch import Tensor

from glasscell.engines import Call, Record, choose, choose_for_one_step


def run(call: Call, engine: str = "auto") -> Record:
    """Runs a call with the engine asked for, or the fastest that can.

    Raises:
        EngineError: the engine asked for cannot run this call.
    """
    _assert_whole(call)
    return choose(call, engine).run(call)


def step(call: Call, engine: str = "auto") -> tuple[Tensor, Tensor | None]:
    """h (B, P) and c (B, H) after a call of a single step, with no record.

    Raises:
        EngineError: the engine asked for cannot run this call.
    """
    _assert_whole(call)
    assert call.packing.T == 1
    return choose_for_one_step(call, engine).step(call)


def _assert_whole(call: Call) -> None:
    w, packing = call.weights, call.packing
    assert packing.T > 0
    assert call.x.shape == (packing.N, w.W.shape[1])
    assert call.h_0.shape == (packing.B, w.U.shape[1])
    assert (call.c_0 is not None) == call.cell.has_cell_state
