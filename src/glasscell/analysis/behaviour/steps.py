"""Step by step: which gates are most open and most shut, and which cells move most."""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.analysis.behaviour.saturation import sigmoid_gates
from glasscell.analysis.whole_numbers import whole_number
from glasscell.tracing import LayerTrace


@dataclass(frozen=True, eq=False)
class Ranked:
    """The k units that come first at each step, and their values.

    Attributes:
        units: (T, k) unit numbers, from 0.
        values: (T, k) what each has there.
    """

    units: Tensor
    values: Tensor


@dataclass(frozen=True, eq=False)
class GateExtremes:
    """One gate's most open and most shut units at each step."""

    open: Ranked
    shut: Ranked


def extreme_gates(layer: LayerTrace, top: int = 1, b: int = 0) -> dict[str, GateExtremes]:
    """The units whose gates are most open (nearest 1) and most shut (nearest 0) at each step.

    Args:
        layer: a recorded layer.
        top: how many units for each gate; no more than there are.
        b: which sequence of the batch.

    Returns:
        For each sigmoid gate, by name. Empty for a simple RNN, which has none.

    Example:
        >>> found = analysis.extreme_gates(trace["l0"], top=2)
        >>> found["forget_gate"].open.units.shape  # the two most open at each step
        torch.Size([35, 2])
    """
    found = {}
    for name in sigmoid_gates(layer):
        gate = layer.sequence(name, b).detach()  # (T, H)
        found[name] = GateExtremes(
            open=_ranked(gate, by=gate, top=top), shut=_ranked(gate, by=-gate, top=top)
        )
    return found


def movement(layer: LayerTrace, b: int = 0) -> Tensor:
    """How far each unit's memory moved at each step: c_t - c_{t-1}; in a GRU or RNN, of h.

    At the first step of the recurrence c_{t-1} is the state that it started from.

    Returns:
        (T, H), signed, in the units of the state.

    Example:
        >>> analysis.movement(trace["l0"], b=1).shape  # c_t - c_{t-1} of sequence 1
        torch.Size([35, 8])
    """
    state = layer.sequence(layer.definition.state, b)
    initial = layer.initial_hidden if layer.c_0 is None else layer.initial_cell
    first = (initial[b] if layer.layout.batched else initial).unsqueeze(0)  # (1, H)
    before = torch.cat((state[1:], first) if layer.reverse else (first, state[:-1]))
    return (state - before).detach()


def most_moved_cells(layer: LayerTrace, top: int = 3, b: int = 0) -> Ranked:
    """The units whose memory moved most at each step, up or down, furthest first.

    Args:
        layer: a recorded layer.
        top: how many units; no more than there are.
        b: which sequence of the batch.

    Returns:
        The units and their signed movement; see `movement`.

    Example:
        >>> moved = analysis.most_moved_cells(trace["l0"], top=3)
        >>> moved.units.shape, moved.values.shape
        (torch.Size([35, 3]), torch.Size([35, 3]))
    """
    moved = movement(layer, b)
    return _ranked(moved, by=moved.abs(), top=top)


def _ranked(values: Tensor, by: Tensor, top: int) -> Ranked:
    top = whole_number("top", top, 1)
    units = torch.argsort(by, dim=-1, descending=True, stable=True)[:, :top]
    return Ranked(units, values.gather(-1, units))
