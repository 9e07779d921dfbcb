"""LSTMs you can see into, at kernel speed."""

from typing import TYPE_CHECKING, Any

from glasscell.errors import EngineError, InputError
from glasscell.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell, explain_engine
from glasscell.trace import load_trace, trace
from glasscell.version import __version__

if TYPE_CHECKING:
    from glasscell.training import load, resume_text, train_text

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
    "load",
    "load_trace",
    "resume_text",
    "trace",
    "train_text",
]

_TRAINING = ("load", "resume_text", "train_text")


def __getattr__(name: str) -> Any:
    """What belongs to training is imported when it is first asked for."""
    if name in _TRAINING:
        from glasscell import training

        return getattr(training, name)
    raise AttributeError(f"module 'glasscell' has no attribute {name!r}")
