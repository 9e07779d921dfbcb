"""The equations: gate maps, and the cells built from them."""

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient
from glasscell.cells.custom import Custom
from glasscell.cells.edits import UNEDITED, StepEdits, composed, kept
from glasscell.cells.gate_recurrence import GateRecurrence
from glasscell.cells.gates import (
    EXPONENTIAL,
    HARD_SIGMOID,
    HARD_TANH,
    IDENTITY,
    POSITIVE,
    RELU,
    SIGMOID,
    SQUASHES,
    TANH,
    GateMap,
    Squash,
    Weights,
)
from glasscell.cells.gru import GRU
from glasscell.cells.kinds import KINDS
from glasscell.cells.layer_norm_gru import NormalisedGRU
from glasscell.cells.layer_norm_lstm import NormalisedLSTM
from glasscell.cells.lstm import LSTM, with_peepholes
from glasscell.cells.mut import MUT
from glasscell.cells.noise import NOISELESS, StepNoise
from glasscell.cells.now import Now
from glasscell.cells.rnn import RNN
from glasscell.cells.slstm import SLSTM
from glasscell.cells.spec import named
from glasscell.cells.variants import ALIASES, VARIANTS, name_of

__all__ = [
    "ALIASES",
    "EXPONENTIAL",
    "GRU",
    "HARD_SIGMOID",
    "HARD_TANH",
    "IDENTITY",
    "KINDS",
    "LSTM",
    "MUT",
    "NOISELESS",
    "POSITIVE",
    "RELU",
    "RNN",
    "SIGMOID",
    "SLSTM",
    "SQUASHES",
    "TANH",
    "UNEDITED",
    "VARIANTS",
    "Cell",
    "Custom",
    "GateMap",
    "GateRecurrence",
    "NormalisedGRU",
    "NormalisedLSTM",
    "Now",
    "Squash",
    "Step",
    "StepBackward",
    "StepEdits",
    "StepGradient",
    "StepNoise",
    "Weights",
    "composed",
    "kept",
    "name_of",
    "named",
    "with_peepholes",
]
