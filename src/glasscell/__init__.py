"""LSTMs you can see into, at kernel speed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glasscell.version import __version__

if TYPE_CHECKING:
    from glasscell.comparing import compare
    from glasscell.errors import EngineError, InputError
    from glasscell.explaining import explain
    from glasscell.interchange import (
        from_flax,
        from_keras,
        from_onnx,
        from_torch,
        to_flax,
        to_keras,
        to_onnx,
        to_torch,
    )
    from glasscell.nn import (
        GRU,
        LSTM,
        RNN,
        GRUCell,
        LSTMCell,
        Recurrent,
        RNNCell,
        explain_engine,
        stream,
    )
    from glasscell.tracing import Edit, edit, load_edits, load_trace, save_edits, trace
    from glasscell.training import (
        load,
        resume_classic,
        resume_series,
        resume_text,
        train_classic,
        train_series,
        train_text,
    )

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Edit",
    "EngineError",
    "GRUCell",
    "InputError",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "__version__",
    "compare",
    "edit",
    "explain",
    "explain_engine",
    "from_flax",
    "from_keras",
    "from_onnx",
    "from_torch",
    "load",
    "load_edits",
    "load_trace",
    "resume_classic",
    "resume_series",
    "resume_text",
    "save_edits",
    "stream",
    "to_flax",
    "to_keras",
    "to_onnx",
    "to_torch",
    "trace",
    "train_classic",
    "train_series",
    "train_text",
]

_ROOMS = {
    "comparing": ("compare",),
    "errors": ("EngineError", "InputError"),
    "explaining": ("explain",),
    "interchange": (
        "from_flax",
        "from_keras",
        "from_onnx",
        "from_torch",
        "to_flax",
        "to_keras",
        "to_onnx",
        "to_torch",
    ),
    "nn": (
        "GRU",
        "LSTM",
        "RNN",
        "GRUCell",
        "LSTMCell",
        "RNNCell",
        "Recurrent",
        "explain_engine",
        "stream",
    ),
    "tracing": ("Edit", "edit", "load_edits", "load_trace", "save_edits", "trace"),
    "training": (
        "load",
        "resume_classic",
        "resume_series",
        "resume_text",
        "train_classic",
        "train_series",
        "train_text",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first asked for: torch takes seconds to import,
    and `glasscell --help` should not.
    """
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'glasscell' has no attribute {name!r}")
    value = getattr(import_module(f"glasscell.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
