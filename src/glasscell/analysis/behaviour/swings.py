"""Which units hold something for a while and then let go of it: those worth a look first."""

import torch
import torch.nn.functional as F
from torch import Tensor

from glasscell.errors import InputError
from glasscell.tracing import LayerTrace


def swings(layer: LayerTrace, short: int = 8, long: int = 64, b: int = 0) -> Tensor:
    """How far each unit's state swings at a pace between `short` and `long` steps.

    The state, squashed to -1..1, is averaged over `short` and over `long` steps around each; the
    swing is the standard deviation of the difference. Units that flicker from step to step, and
    those that never move or only drift, come out low. Units that stay on one side for a word or a
    line and then change sides come out high.

    Args:
        layer: a recorded layer.
        short, long: lengths of the two averages, in steps.
        b: which sequence of the batch.

    Returns:
        (H,) float64, from 0; of tanh(c) in an LSTM, of h in a GRU or RNN.

    Example:
        >>> analysis.swings(trace["l0"]).shape
        torch.Size([8])
    """
    if not 1 <= short < long:
        raise InputError(f"short, long: expected 1 <= short < long, got {short} and {long}")
    state = layer.sequence(layer.definition.state, b)
    squashed = state.detach().double().tanh().nan_to_num()  # (T, H)
    return (_average(squashed, short) - _average(squashed, long)).std(0, correction=0)


def _average(values: Tensor, steps: int) -> Tensor:
    """(T, H) the mean over `steps` steps around each, fewer at the ends."""
    T = len(values)
    sums = F.pad(values.cumsum(0), (0, 0, 1, 0))  # (T + 1, H): sums[t] is over the steps before t
    t = torch.arange(T, device=values.device)
    first = (t - steps // 2).clamp(min=0)
    end = (t - steps // 2 + steps).clamp(max=T)
    return (sums[end] - sums[first]) / (end - first)[:, None]
