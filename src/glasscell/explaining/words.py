"""What a step did, unit by unit, in plain sentences."""

import numpy as np

from glasscell.cells import LSTM, Cell, GateMap
from glasscell.explaining.formulas import activation, shown_cell
from glasscell.explaining.moment import Moment
from glasscell.explaining.numerals import number, percent

KINDS = {"lstm": "an LSTM", "gru": "a GRU", "rnn": "a simple RNN"}
PURPOSES = {
    "input_gate": "How much of the candidate is let into the memory: 0 nothing, 1 all of it.",
    "forget_gate": "How much of the old cell state stays: 0 nothing, 1 all of it.",
    "output_gate": "How much of the memory is shown to the rest of the model: 0 nothing, 1 all.",
    "reset_gate": "How much of the past the candidate gets to see: 0 nothing, 1 all of it.",
    "update_gate": "How much of the old hidden state stays: 0 nothing, 1 all of it.",
    "candidate": "What could be written into the memory, before a gate says how much of it is.",
    "hidden": "The hidden state itself: a simple RNN has no gates, and writes it anew each step.",
}


def kind(cell: Cell) -> str:
    """ "an LSTM"."""
    return KINDS.get(cell.kind, f"a {cell.kind}")


def gate_title(gate: GateMap) -> str:
    return f"{gate.name.replace('_', ' ').capitalize()} ${activation(gate)}$"


def purpose(gate: GateMap) -> str:
    """What a gate is for, in a sentence."""
    low, high = gate.squash.range
    plain = f"Its values lie between {number(low)} and {number(high)}."
    return PURPOSES.get(gate.name, plain)


def sentences(moment: Moment, named: dict[str, np.ndarray], units: list[int]) -> list[str]:
    """For each of these units: what it kept, what it added, what it shows."""
    return [_sentence(moment, named, u) for u in units]


def _sentence(moment: Moment, named: dict[str, np.ndarray], u: int) -> str:
    cell, step = moment.cell, moment.step
    carried = cell.carry(step.gates)
    if carried is None:
        return (
            f"**Unit {u}** was written anew: {number(float(moment.step.pre[0, u]))} went into the "
            f"{cell.gates[0].squash.name}, and its hidden state is "
            f"{number(float(moment.step.h[u]))}."
        )
    keep, write = (float(v[u]) for v in carried)
    state = "c" if cell.has_cell_state else "h"
    before, after = named[f"{state}_{{t-1}}"][u], named[f"{state}_t"][u]
    added = f"added {number(write)}" if write >= 0 else f"took away {number(-write)}"
    held = "its memory" if cell.has_cell_state else "its hidden state"
    kept = f"which was {number(before)}"
    if before != 0:
        kept = f"{number(before)} became {number(keep * before)}"
    text = f"**Unit {u}** kept {percent(keep)} of {held} ({kept}) and {added}"
    text += f"{_why_written(moment, u)}: ${state}_t$ is {number(after)}."
    if isinstance(cell, LSTM):
        o, seen = named[activation(cell.output_gate)][u], named[shown_cell(cell)][u]
        text += (
            f" It showed {percent(o)} of ${shown_cell(cell)}$ = {number(seen)}: {number(o * seen)}"
        )
        text += ", before the projection." if "m_t" in named else ", its hidden state."
    return text


def _why_written(moment: Moment, u: int) -> str:
    """Where the write comes from: a share of the candidate."""
    cell, gates = moment.cell, moment.step.gates[:, u].tolist()
    by_name = dict(zip((gate.name for gate in cell.gates), gates, strict=True))
    if "candidate" not in by_name:
        return ""
    share = by_name.get("input_gate", 1 - by_name.get("update_gate", 0.0))
    return f" ({percent(share)} of the candidate, {number(by_name['candidate'])})"
