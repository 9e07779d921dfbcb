"""Modules: `LSTM`, `GRU`, `RNN` and their one-step cells, drop-ins for torch.nn."""

from glasscell.nn.choice import explain_engine
from glasscell.nn.layers import GRU, LSTM, RNN
from glasscell.nn.one_step import GRUCell, LSTMCell, RNNCell
from glasscell.nn.record import LayerRecord
from glasscell.nn.recurrent import Recurrent
from glasscell.nn.streaming import Stream, stream

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "LayerRecord",
    "RNNCell",
    "Recurrent",
    "Stream",
    "explain_engine",
    "stream",
]
