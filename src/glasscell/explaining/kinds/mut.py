"""How the step of a mutated GRU is told (`glasscell.cells.mut`)."""

from glasscell.cells import GateMap
from glasscell.cells.mut import MUT
from glasscell.explaining.expressions import Less
from glasscell.explaining.formulas import ONE, H, defined, gate_part
from glasscell.explaining.kinds.gru import RESET_BEFORE, R, Z, hidden_part
from glasscell.explaining.telling import GatePart, Setting, Telling

UPDATE = "How much of the candidate is written: 0 nothing, 1 all of it. The rest stays."
WRITES = "The update gate says how much is written, as in the paper; in a GRU here, how much stays."
ITSELF = (
    "$x_t$ is added without a matrix, to the sums of all units: it is as long as the hidden state."
)


def tell_mut(cell: MUT, setting: Setting) -> Telling:
    """The telling of MUT1, MUT2 and MUT3."""

    def told(gate: GateMap) -> GatePart:
        if gate is cell.candidate:
            return gate_part(cell, gate, setting, past=(R, H))
        purpose = UPDATE if gate is cell.update_gate else None
        return gate_part(cell, gate, setting, purpose=purpose)

    parts = (*map(told, cell.gates), hidden_part(setting, keep=Less(ONE, Z), write=Z))
    adds = any(v in ("x_itself", "tanh_x") for gate in cell.gates for v in gate.reads)
    remarks = (WRITES, RESET_BEFORE, *([ITSELF] if adds else []))
    return Telling(
        "a mutated GRU", parts, remarks, defined([gate.squash for gate in cell.gates])
    )  # fmt: skip
