"""Recording what a model's recurrent layers compute."""

from glasscell.tracing.layer import LayerTrace
from glasscell.tracing.recorder import Trace, UnknownLayer, load_trace

trace = Trace

__all__ = ["LayerTrace", "Trace", "UnknownLayer", "load_trace", "trace"]
