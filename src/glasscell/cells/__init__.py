"""The equations: gate maps, and the LSTM, GRU and RNN cells built from them."""

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient
from glasscell.cells.edits import UNEDITED, StepEdits, composed, kept
from glasscell.cells.gates import RELU, SIGMOID, SQUASHES, TANH, GateMap, Squash, Weights
from glasscell.cells.gru import GRU
from glasscell.cells.lstm import LSTM, with_peepholes
from glasscell.cells.rnn import RNN

KINDS: dict[str, type[Cell]] = {cell.kind: cell for cell in (LSTM, GRU, RNN)}

__all__ = [
    "GRU",
    "KINDS",
    "LSTM",
    "RELU",
    "RNN",
    "SIGMOID",
    "SQUASHES",
    "TANH",
    "UNEDITED",
    "Cell",
    "GateMap",
    "Squash",
    "Step",
    "StepBackward",
    "StepEdits",
    "StepGradient",
    "Weights",
    "composed",
    "kept",
    "with_peepholes",
]
