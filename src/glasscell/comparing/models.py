"""The layers that are compared, by their lines; and the hidden size at which models are equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from glasscell.comparing.questions import BASE
from glasscell.errors import UserError
from glasscell.nn.lines import LayerLine, split_outside

LARGEST = 1 << 16  # units; nothing that is compared needs more


@dataclass(frozen=True)
class Size:
    """How large a model is, and what of it is dropped in training.

    Attributes:
        hidden: H, units.
        embedding: of a token, where there are tokens; None for the task's own.
        dropout: fraction dropped of what is not recurrent.
    """

    hidden: int
    embedding: int | None = None
    dropout: float = 0.0


def usual_learning_rate(cell: str, hidden: int) -> float:
    """The highest of a training, where the task has none of its own: 0.005 for up to 256 units,
    0.002 for a cell without gates; in inverse proportion to units above 256."""
    return (0.002 if LayerLine.read(cell).is_simple else 0.005) * min(1.0, 256 / hidden)


def cells_named(names: Sequence[str] | str) -> tuple[str, ...]:
    """The layers to compare, the plain LSTM first: everything is compared with it.

    Args:
        names: lines as `glasscell.nn.lines` reads them: "gru", "lstm(forget_gate=None)",
            "lstm+zoneout=0.1"; or all in one text, separated by commas.

    Raises:
        UserError: a name that is not known, or given twice; the nearest are told.

    Example:
        >>> from glasscell.comparing.models import cells_named
        >>> cells_named("gru,vanilla,lstm + zoneout=0.1")
        ('lstm', 'gru', 'peephole', 'lstm+zoneout=0.1')
    """
    if isinstance(names, str):
        names = split_outside(names, ",")
    found = []
    for name in names:
        if not isinstance(name, str):
            raise UserError(
                "cells: expected names or lines, which another process can read, got "
                f"{type(name).__name__}"
            )
        try:
            own = LayerLine.read(name.strip()).text
        except ValueError as error:
            told = str(error)
            told = told.replace("cell:", "cells:", 1) if "cell:" in told else f"cells: {told}"
            raise UserError(told if name in told else f"{told} (in {name.strip()!r})") from None
        if own in found:
            raise UserError(f"cells: {own} is given twice")
        found.append(own)
    return (BASE, *(name for name in found if name != BASE))


def parameters(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in model.parameters())


def parameters_of(build: Callable[[], nn.Module]) -> int:
    """How many numbers a model would train, which takes no memory and draws no random numbers.

    Args:
        build: makes the model.
    """
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        return parameters(build())


def matched_hidden(build: Callable[[int], nn.Module], wanted: int) -> int:
    """The hidden size at which a model comes closest to `wanted` parameters.

    Args:
        build: the model of a hidden size; called without memory being taken.
        wanted: parameters; more units must mean more of them.
    """

    def count(hidden: int) -> int:
        return parameters_of(lambda: build(hidden))

    low, high = 1, 2
    while high < LARGEST and count(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return min((low, high), key=lambda hidden: abs(count(hidden) - wanted))
