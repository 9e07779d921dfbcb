"""A recurrent layer of any cell by its name; and the hidden size at which models are equal."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from glasscell.cells import named
from glasscell.cells.mut import ITSELF
from glasscell.cells.variants import name_of
from glasscell.comparing.questions import BASE
from glasscell.errors import InputError, UserError
from glasscell.nn import Recurrent

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


class Mapped(nn.Module):
    """A layer behind a linear map, for a cell that adds x_t itself to its units."""

    def __init__(self, input_size: int, layer: Recurrent) -> None:
        super().__init__()
        self.map = nn.Linear(input_size, layer.input_size)
        self.layer = layer

    def forward(self, x: Tensor, state: Any = None) -> Any:
        return self.layer(self.map(x), state)


def layer(cell: str, input_size: int, hidden: int) -> nn.Module:
    """A recurrent layer by its cell's name, begun as `options_of` says."""
    if adds_its_input(cell) and input_size != hidden:
        return Mapped(input_size, Recurrent(hidden, hidden, cell=cell, **options_of(cell)))
    return Recurrent(input_size, hidden, cell=cell, **options_of(cell))


def adds_its_input(cell: str) -> bool:
    """Whether its input must have as many features as it has units."""
    return any(v in ITSELF for gate in named(cell).gates for v in gate.reads)


@lru_cache
def options_of(cell: str) -> dict[str, Any]:
    """How a layer begins: the forget gate of every LSTM at a bias of 1 (Jozefowicz et al. 2015),
    where it has one; all other cells as they usually do."""
    if not named(cell).has_cell_state:
        return {}
    options: dict[str, Any] = {"forget_bias": 1.0}
    try:
        Recurrent(1, 1, cell=cell, device="meta", **options)
    except InputError:  # no gate keeps the state
        return {}
    return options


def is_plain(cell: str) -> bool:
    """Whether the cell has no gates, and so asks for lower learning rates."""
    return named(cell).kind == "rnn"


def cells_named(names: Sequence[str] | str) -> tuple[str, ...]:
    """The cells to compare, the plain LSTM first: everything is compared with it.

    Args:
        names: names or lines ("lstm(forget_gate=None)"), in one text separated by commas.

    Raises:
        UserError: a name that is not known, or given twice; the nearest are told.

    Example:
        >>> from glasscell.comparing.models import cells_named
        >>> cells_named("gru,vanilla")
        ('lstm', 'gru', 'peephole')
    """
    if isinstance(names, str):
        names = re.split(r",(?![^(]*\))", names)
    found = []
    for name in names:
        try:
            cell = named(name.strip())
        except ValueError as error:
            raise UserError(str(error).replace("cell:", "cells:", 1)) from None
        own = name_of(cell) or re.sub(r"\s*,\s*", ", ", name.strip())  # where a line may break
        if own in found:
            raise UserError(f"cells: {own} is given twice")
        found.append(own)
    return (BASE, *(name for name in found if name != BASE))


def parameters(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in model.parameters())


def matched_hidden(build: Callable[[int], nn.Module], wanted: int) -> int:
    """The hidden size at which a model has as nearly as can be so many parameters.

    Args:
        build: the model of a hidden size; called without memory being taken.
        wanted: parameters; more units must mean more of them.
    """

    def count(hidden: int) -> int:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            return parameters(build(hidden))

    low, high = 1, 2
    while high < LARGEST and count(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return min((low, high), key=lambda hidden: abs(count(hidden) - wanted))
