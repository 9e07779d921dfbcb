"""How a step with full gate recurrence is told (`glasscell.cells.gate_recurrence`)."""

import torch

from glasscell.cells import GateMap, GateRecurrence
from glasscell.explaining.expressions import MatrixTimes, Name, Product, Sum
from glasscell.explaining.formulas import function, gate_part, seen
from glasscell.explaining.kinds.lstm import C_BEFORE, MEMORY, F, G, I, memory_part, output_part
from glasscell.explaining.telling import GatePart, Setting, Telling, Weight

BEFORE = Name("s_{t-1}")
BETWEEN = (
    "The three gates also read each other's values of the step before, $s_{t-1}$, through a "
    "matrix $S$ each."
)
LONG = "s_{t-1} = [i_{t-1}, f_{t-1}, o_{t-1}]"


def tell_gate_recurrence(cell: GateRecurrence, setting: Setting) -> Telling:
    """The telling of an LSTM with full gate recurrence."""

    def recurring(gate: GateMap) -> GatePart:
        S = f"S_{gate.letter}"
        extra = (MatrixTimes(S, BEFORE), Weight(S, BEFORE, "gate values of the step before"))
        return gate_part(cell, gate, setting, extra=(extra,))

    shown = function("\\tanh", torch.tanh, seen(setting, "c"))
    stays, comes = Product((F, C_BEFORE)), Product((I, G))
    parts = (
        recurring(cell.input_gate),
        recurring(cell.forget_gate),
        gate_part(cell, cell.candidate, setting),
        memory_part(setting, (), Sum((stays, comes)), (MEMORY,)),
        recurring(cell.output_gate),
        output_part(shown, "o_t", setting),
    )
    carried = dict(zip(cell.carried, "cifo", strict=True))
    return Telling(
        "an LSTM with full gate recurrence", parts, (BETWEEN,), (LONG,), (shown, "o_t"), carried
    )
