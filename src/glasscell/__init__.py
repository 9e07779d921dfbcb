"""LSTMs you can see into, at kernel speed."""

from glasscell.errors import EngineError, InputError
from glasscell.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
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
]
