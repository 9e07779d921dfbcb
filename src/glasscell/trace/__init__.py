"""Recording what a model's recurrent layers compute."""

from glasscell.trace.layer import LayerTrace
from glasscell.trace.recorder import Trace, UnknownLayer, load_trace

trace = Trace

__all__ = ["LayerTrace", "Trace", "UnknownLayer", "load_trace", "trace"]
