"""How long each unit remembers, read off the gate that says how much stays."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from glasscell.errors import InputError
from glasscell.tracing import LayerTrace


class UnitMemory(NamedTuple):
    """One unit and its memory span in steps."""

    unit: int
    steps: float


def keeping_gate(layer: LayerTrace) -> str | None:
    """The name of the gate that says how much of the past stays: an LSTM's forget gate, a GRU's
    update gate, None for a simple RNN.
    """
    gate = layer.definition.keeping_gate
    return None if gate is None else gate.name


def memory_span(
    layer: LayerTrace, mean: Literal["arithmetic", "geometric"] = "arithmetic"
) -> Tensor:
    """How many steps each unit remembers: -1 / ln(mean f), the time constant of its decay.

    What a unit holds shrinks by f at each step. Were f always at its mean, it would be down to
    1/e (37 %) after this many steps. In a GRU the update gate z takes the place of f.

    Args:
        layer: a recorded LSTM or GRU layer.
        mean: how f is averaged over the real steps of all sequences. "arithmetic" is the plain
            mean. "geometric" is exp(mean ln f), the rate at which the product of all f really
            shrinks: one step with f near 0 wipes the memory, and it shows. It is never longer.

    Returns:
        (H,) float64, in steps. 0 for a unit that never keeps anything (f = 0), infinite for one
        that never forgets (f = 1).

    Raises:
        InputError: the layer has no gate that keeps the past (a simple RNN).
    """
    name = keeping_gate(layer)
    if name is None:
        raise InputError(
            f"{layer.name}: a {layer.kind} has no forget gate: it writes its whole state anew at "
            "each step, so no memory span can be read off; memory_span is for an lstm or a gru"
        )
    f = layer.tokens(name).detach().double()  # (N, H)
    if mean == "arithmetic":
        log_mean = f.mean(0).log()
    elif mean == "geometric":
        log_mean = f.log().mean(0)
    else:
        raise InputError(f"mean: expected 'arithmetic' or 'geometric', got {mean!r}")
    return 1 / log_mean.abs()  # ln f <= 0; abs also turns -1/0 into plus infinity


def units_by_memory(layer: LayerTrace, top: int | None = None) -> list[UnitMemory]:
    """The units with the longest memory first; those that are equal by number.

    Args:
        layer: a recorded LSTM or GRU layer.
        top: how many; all if absent.

    Raises:
        InputError: as `memory_span`.
    """
    spans = memory_span(layer)
    order = torch.argsort(spans, descending=True, stable=True)[:top].tolist()
    return [UnitMemory(unit, float(spans[unit])) for unit in order]
