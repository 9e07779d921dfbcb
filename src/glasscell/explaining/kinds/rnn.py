"""How the step of a simple RNN and of an IndRNN is told (`glasscell.cells.rnn`)."""

from dataclasses import replace

from glasscell.cells import RNN
from glasscell.explaining.expressions import Name
from glasscell.explaining.formulas import H, defined, gate_part, held
from glasscell.explaining.telling import Setting, StatePart, Telling, Told

PURPOSE = "The hidden state itself: a simple RNN has no gates, and writes it anew each step."
OWN_PAST = (
    "Of the past each unit reads nothing but itself: in place of a matrix $U$ there is one weight "
    "$u$ a unit, so its memory is that weight, step by step."
)
HELD = "Zoneout: where $k_h$ is 1 the old hidden state stays as it was."


def tell_rnn(cell: RNN, setting: Setting) -> Telling:
    """The telling of a simple RNN."""
    part = gate_part(cell, cell.hidden, setting, purpose=PURPOSE)
    called = "an IndRNN" if cell.hidden.peephole else "a simple RNN"
    remarks = (OWN_PAST,) if cell.hidden.peephole else ()
    definitions = defined([cell.hidden.squash])
    if "hidden" not in setting.held:
        return Telling(called, (part,), remarks, definitions)
    assert part.value is not None
    new = "h'_t"
    part = replace(part, value=Told(new, part.value.right), shown=Told(new, part.shown.right))
    equations = held(setting, "hidden", "h_t", Name(new), H)[1:]
    state = StatePart("The hidden state $h_t$", (HELD,), equations, {"h_t": "the new hidden state"})
    return Telling(called, (part, state), remarks, definitions)
