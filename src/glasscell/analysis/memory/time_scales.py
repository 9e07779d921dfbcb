"""The spread of a layer's memories: how many units remember for how long."""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.analysis.memory.kicks import KickSurvival
from glasscell.analysis.memory.memory_span import Mean, memory_span
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace


@dataclass(frozen=True, eq=False)
class TimeScales:
    """Each unit's time scale, the longest first: steps until 1/e is left; everything float64.

    Attributes:
        units: (U,) in the order of what was measured, or where nothing was, of the gates.
        gates: (U,) as `memory_span` reads it from what stays of the state; None where nothing
            does, as in an RNN.
        measured: (U,) until a kick to the unit's memory has died out there; None if not measured.
        whole: (U,) until it has died out in the whole state.
        window: how far was measured; what is longer is infinite.
    """

    units: Tensor
    gates: Tensor | None
    measured: Tensor | None = None
    whole: Tensor | None = None
    window: int | None = None


def time_scales(
    layer: LayerTrace, kicks: KickSurvival | None = None, mean: Mean = "geometric"
) -> TimeScales:
    """The units sorted by how long they remember, as the gates say and as kicks show.

    Args:
        layer: a recorded layer.
        kicks: what `kick_survival` measured on it; needed for an RNN, of which nothing stays.
        mean: how the gate is averaged, as for `memory_span`; the geometric mean is the rate at
            which products of f really shrink, so it is what kicks are to be compared with.

    Raises:
        InputError: an RNN without kicks; kicks of a layer of another size.

    Example:
        >>> with glasscell.trace(lstm) as trace:
        ...     y = lstm(x)
        >>> kicks = analysis.kick_survival(lstm, trace["l0"], window=12)
        >>> scales = analysis.time_scales(trace["l0"], kicks)
        >>> bool(scales.measured[0] >= scales.measured[-1])
        True
    """
    H = layer.hidden_size
    if kicks is None:
        gates = memory_span(layer, mean)
        units = torch.argsort(gates, descending=True, stable=True)
        return TimeScales(units, gates[units])
    if kicks.hidden_size not in (None, H):
        raise InputError(
            f"kicks: expected those of {layer.name}, which has {H} units, got those of a layer of "
            f"{kicks.hidden_size}"
        )
    if int(kicks.units.max()) >= H:
        raise InputError(f"kicks: expected units 0 to {H - 1}, got {int(kicks.units.max())}")
    keeps = layer.carry() is not None
    gates = memory_span(layer, mean)[kicks.units] if keeps else None
    measured, whole = kicks.steps(), kicks.steps(of="whole")
    # Among those longer than the window, the more is left at its end the longer.
    rest = torch.argsort(kicks.own[-1], descending=True, stable=True)
    order = rest[torch.argsort(measured[rest], descending=True, stable=True)]
    return TimeScales(
        units=kicks.units[order],
        gates=None if gates is None else gates[order],
        measured=measured[order],
        whole=whole[order],
        window=kicks.window,
    )
