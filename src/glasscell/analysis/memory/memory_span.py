"""How long each unit remembers, read off how much of its state stays at each step."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from glasscell.analysis.whole_numbers import whole_number
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace

Mean = Literal["arithmetic", "geometric"]


class UnitMemory(NamedTuple):
    """One unit and its memory span in steps."""

    unit: int
    steps: float


def keeping_gate(layer: LayerTrace) -> str | None:
    """The name of the gate by which the more of the past stays the more it opens: an LSTM's forget
    gate, a GRU's update gate. None for a simple RNN, and where no gate says it so: where all stays,
    or as much as another gate leaves.

    Example:
        >>> analysis.keeping_gate(trace["l0"])
        'forget_gate'
    """
    gate = layer.definition.keeping_gate
    return None if gate is None else gate.name


def memory_span(layer: LayerTrace, mean: Mean = "arithmetic") -> Tensor:
    """How many steps each unit remembers: -1 / ln(mean f), the time constant of its decay.

    What a unit holds shrinks by f at each step. Were f always at its mean, it would be down to
    1/e (37 %) after this many steps. In a GRU the update gate z takes the place of f; in any other
    cell, whatever multiplies its state: 1 - i where the gates are coupled, f / (i + f) in a minimal
    LSTM, 1 without a forget gate; zoneout and edits of the state included.

    Args:
        layer: a recorded layer of any cell that keeps some of its state.
        mean: how f is averaged over the real steps of all sequences. "arithmetic" is the plain
            mean. "geometric" is exp(mean ln f), the rate at which the product of all f really
            shrinks: one step with f near 0 wipes the memory, and it shows. It is never longer.

    Returns:
        (H,) float64, in steps. 0 for a unit that never keeps anything (f = 0), infinite for one
        that never forgets (f = 1), NaN for one whose gate holds NaN.

    Raises:
        InputError: nothing of the layer's state stays from step to step (a simple RNN), or its
            definition does not say how much (a step of one's own).

    Example:
        >>> analysis.memory_span(trace["l0"]).shape  # steps, unit by unit
        torch.Size([8])
    """
    carried = layer.carry(torch.float64)
    if carried is None:
        raise InputError(
            f"{layer.name}: {layer.why_no_carry}, so no memory span can be read off; memory_span "
            "is for an LSTM, a GRU and their like"
        )
    f = carried[0].detach().abs()  # (N, H)
    if mean == "arithmetic":
        log_mean = f.mean(0).log()
    elif mean == "geometric":
        log_mean = f.log().mean(0)
    else:
        raise InputError(f"mean: expected 'arithmetic' or 'geometric', got {mean!r}")
    # an edit of the state may make f exceed 1: then what is held grows
    return torch.where(log_mean >= 0, torch.inf, -1 / log_mean)


def half_lives(layer: LayerTrace, mean: Mean = "arithmetic") -> Tensor:
    """In how many steps half of what each unit holds is gone: ln(1/2) / ln(mean f).

    `memory_span` with a half in place of 1/e; the two differ by the factor ln 2.

    Args:
        layer: as for `memory_span`.
        mean: as for `memory_span`.

    Returns:
        (H,) float64, in steps; 0 for a unit that never keeps anything, infinite for one that
        never forgets.

    Raises:
        InputError: as `memory_span`.

    Example:
        >>> with glasscell.trace(lstm) as trace:
        ...     y = lstm(x)
        >>> half = analysis.half_lives(trace["l0"])
        >>> f = trace["l0"].forget_gate.double().mean((0, 1))
        >>> bool((f**half - 0.5).abs().max() < 1e-9)
        True
    """
    return math.log(2) * memory_span(layer, mean)


def units_by_memory(
    layer: LayerTrace, top: int | None = None, mean: Mean = "arithmetic"
) -> list[UnitMemory]:
    """The units with the longest memory first; those that are equal by number, NaN last.

    Args:
        layer: as for `memory_span`.
        top: how many; all if absent.
        mean: as for `memory_span`.

    Raises:
        InputError: as `memory_span`.

    Example:
        >>> longest, *_ = analysis.units_by_memory(trace["l0"], top=3)
        >>> longest.steps == float(analysis.memory_span(trace["l0"]).max())
        True
    """
    spans = memory_span(layer, mean)
    top = len(spans) if top is None else whole_number("top", top, 0)
    order = torch.argsort(spans.nan_to_num(-1), descending=True, stable=True)[:top].tolist()
    return [UnitMemory(unit, float(spans[unit])) for unit in order]
