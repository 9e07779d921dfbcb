"""Recording what a model's recurrent layers compute."""

from glasscell.tracing.editing import Editing, edit
from glasscell.tracing.edits import Edit, load_edits, save_edits
from glasscell.tracing.layer import LayerTrace
from glasscell.tracing.recorder import Trace, UnknownLayer, load_trace

trace = Trace

__all__ = [
    "Edit",
    "Editing",
    "LayerTrace",
    "Trace",
    "UnknownLayer",
    "edit",
    "load_edits",
    "load_trace",
    "save_edits",
    "trace",
]
