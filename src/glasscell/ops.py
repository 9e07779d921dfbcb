"""One call over one batch of sequences: choose an engine, run it, hand back its record.

Arguments have been checked by the layer that made the call.
"""

from torch import Tensor

from glasscell.engines import Call, Record, choose, choose_for_one_step


def run(call: Call, engine: str = "auto") -> Record:
    """Runs a call with the engine asked for, or the fastest that can.

    Raises:
        EngineError: the engine asked for cannot run this call.
    """
    return choose(call, engine).run(call)


def step(call: Call, engine: str = "auto") -> tuple[Tensor, Tensor | None]:
    """h (B, P) and c (B, H) after a call of a single step, with no record.

    Raises:
        EngineError: the engine asked for cannot run this call.
    """
    assert call.packing.T == 1
    return choose_for_one_step(call, engine).step(call)
