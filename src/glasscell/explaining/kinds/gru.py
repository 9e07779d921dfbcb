"""How a GRU's step is told (`glasscell.cells.gru`)."""

from glasscell.cells import GRU
from glasscell.explaining.expressions import Less, MatrixTimes, Name, Product, Sum
from glasscell.explaining.formulas import (
    ONE,
    H,
    X,
    defined,
    gate_part,
    held,
    masked,
    summed,
    told_gate,
)
from glasscell.explaining.kinds.lstm import reading_remarks
from glasscell.explaining.telling import (
    GatePart,
    Part,
    Setting,
    StatePart,
    Telling,
    Told,
    Weight,
)

R, Z, N, Q = (Name(f"{letter}_t") for letter in "rznq")
STATE = (
    "What stays of the old hidden state, and what is written to it. $\\odot$ is the Hadamard "
    "product: entry by entry, so unit by unit."
)
RESET_BEFORE = (
    "The reset gate acts before the product: $U_n$ multiplies what it leaves of $h_{t-1}$, so a "
    "unit that is reset is hidden from all candidates, and not from its own alone."
)
NO_RESET = "There is no reset gate."


def tell_gru(cell: GRU, setting: Setting) -> Telling:
    """The telling of a GRU."""
    parts: list[Part] = []
    if cell.reset_gate is not None:
        parts.append(gate_part(cell, cell.reset_gate, setting))
    parts.append(gate_part(cell, cell.update_gate, setting))
    if cell.reset_gate is None:
        parts.append(gate_part(cell, cell.candidate, setting))
    else:
        parts.append(_candidate(cell, setting))
    parts.append(hidden_part(setting, keep=Z, write=Less(ONE, Z)))
    remarks = [NO_RESET] if cell.reset_gate is None else []
    remarks += [] if cell.reset_after else [RESET_BEFORE]
    squashes = [gate.squash for gate in cell.gates]
    return Telling(
        cell.noun, tuple(parts), (*remarks, *reading_remarks(cell)), defined(squashes)
    )  # fmt: skip


def hidden_part(setting: Setting, keep, write) -> StatePart:
    """The part about a hidden state that is the memory."""
    right = Sum((Product((keep, H)), Product((write, N))))
    equations = held(setting, "hidden", "h_t", right, H)
    return StatePart("The hidden state $h_t$", (STATE,), equations, {"h_t": "the new hidden state"})


def _candidate(cell: GRU, setting: Setting) -> GatePart:
    past = (H,) if cell.reset_after else (R, H)
    read = masked(setting, *past)
    q = [MatrixTimes("U_n", read)] + [Name("b'_n")] * setting.biased
    now = [MatrixTimes("W_n", X)] + [Name("b_n")] * setting.biased
    return told_gate(
        cell.candidate,
        setting,
        summed((*now, Product((R, Q)) if cell.reset_after else Q)),
        before=(Told("q_t", summed(q)),),
        weights=(Weight("W_n", X, "inputs"), Weight("U_n", read, "hidden values")),
        vectors=(("b_n", "a bias"), ("b'_n", "a bias")) if setting.biased else (),
    )
