"""Which kind of cell is told by which file."""

from collections.abc import Callable
from typing import Any

from glasscell.cells import Cell
from glasscell.explaining.kinds.custom import tell_custom, tell_unknown
from glasscell.explaining.kinds.gate_recurrence import tell_gate_recurrence
from glasscell.explaining.kinds.gru import tell_gru
from glasscell.explaining.kinds.layer_norm import tell_normalised_gru, tell_normalised_lstm
from glasscell.explaining.kinds.lstm import tell_lstm
from glasscell.explaining.kinds.mut import tell_mut
from glasscell.explaining.kinds.rnn import tell_rnn
from glasscell.explaining.kinds.slstm import tell_slstm
from glasscell.explaining.telling import Setting, Telling

KINDS: dict[str, Callable[[Any, Setting], Telling]] = {
    "lstm": tell_lstm,
    "gru": tell_gru,
    "rnn": tell_rnn,
    "fgr": tell_gate_recurrence,
    "slstm": tell_slstm,
    "mut": tell_mut,
    "layer_norm_lstm": tell_normalised_lstm,
    "layer_norm_gru": tell_normalised_gru,
    "custom": tell_custom,
}


def telling(cell: Cell, setting: Setting | None = None) -> Telling:
    """What is told of a cell's step.

    Args:
        setting: what of a run changes its equations; a plain one with biases if absent.
    """
    return KINDS.get(cell.kind, tell_unknown)(cell, setting or Setting())
