"""LSTMs you can see into, at kernel speed."""

from glasscell.errors import EngineError, InputError
from glasscell.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell, explain_engine
from glasscell.trace import load_trace, trace
from glasscell.version import __version__

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "EngineError",
    "GRUCell",
    "InputError",
    "LSTMCell",
    "RNNCell",
    "__version__",
    "explain_engine",
    "load_trace",
    "trace",
]
