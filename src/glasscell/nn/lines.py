"""A layer in one line: its cell and what it is told besides, as "peephole+zoneout=0.1"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from torch import nn

from glasscell.cells import Cell, name_of, spec
from glasscell.cells.mut import ITSELF
from glasscell.errors import InputError
from glasscell.nn.layers import GRU, LSTM, RNN
from glasscell.nn.options import drawn_gates
from glasscell.nn.recurrent import Recurrent

OPEN = 1.0  # the bias with which a gate that keeps the state begins (Jozefowicz et al. 2015)
OWN_LAYERS: dict[str, type[Recurrent]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}


@dataclass(frozen=True)
class LayerLine:
    """A recurrent layer as a person names it in one line.

    The cell comes first, by name or as a line of its own, then options of `glasscell.Recurrent`,
    each after a plus: `lstm+forget_bias=0`, `gru+recurrent_dropout=0.25+init=glorot`. Two rates of
    zoneout are parted by a slash, as are the gates that are drawn: `lstm+zoneout=0.5/0.05`,
    `lstm+stochastic=forget/output:gumbel`.

    Attributes:
        text: the line, in the way that all who mean the same layer write it.
        cell: the definition.
        options: keyword arguments of `Recurrent`.

    Example:
        >>> from glasscell.nn.lines import LayerLine
        >>> line = LayerLine.read("vanilla + zoneout=0.10")
        >>> line.text, dict(line.options)
        ('peephole+zoneout=0.1', {'zoneout': 0.1})
        >>> line.build(3, 8)
        Recurrent(3, 8, cell='peephole', zoneout=(0.1, 0.1))
    """

    text: str
    cell: Cell
    options: Mapping[str, Any]

    @classmethod
    def read(cls, text: str) -> LayerLine:
        """The layer that a line says.

        Raises:
            InputError: no such cell or option, an option given twice, or one that the cell cannot
                have.
        """
        if not isinstance(text, str):
            told = type(text).__name__ if isinstance(text, Cell) else repr(text)
            raise InputError(f"cell: expected a line such as lstm, got {told}")
        return cls._read(text)

    @classmethod
    @lru_cache
    def _read(cls, text: str) -> LayerLine:
        first, *rest = split_outside(text, "+")
        try:
            cell = spec.named(first)
        except ValueError as error:
            raise InputError(str(error)) from None
        found: dict[str, Any] = {}
        for part in rest:
            name, equals, value = (each.strip() for each in part.partition("="))
            if name not in _OPTIONS or not equals:
                raise InputError(
                    f"cell: expected an option such as zoneout=0.1 after the plus, one of "
                    f"{', '.join(_OPTIONS)}, got {part!r}"
                )
            if name in found:
                raise InputError(f"cell: {name} is given twice in {text!r}")
            found[name] = _OPTIONS[name](name, value)
        return cls._of(cell, found)

    @classmethod
    def of(cls, cell: str | Cell, **options: Any) -> LayerLine:
        """The layer of a cell or line, and what it is told beside it.

        Args:
            options: of `Recurrent`; those that are None say nothing.

        Raises:
            InputError: as `read`.
        """
        line = cls.read(cell) if isinstance(cell, str) else cls._of(cell, {})
        more = {name: value for name, value in options.items() if value is not None}
        if twice := line.options.keys() & more.keys():
            raise InputError(f"cell: {line.text!r} says {min(twice)}, which is given beside it too")
        return cls._of(line.cell, {**line.options, **more}) if more else line

    @classmethod
    def _of(cls, cell: Cell, found: Mapping[str, Any]) -> LayerLine:
        options = {name: found[name] for name in _OPTIONS if name in found}
        Recurrent(1, 1, cell=cell, device="meta", **found)  # refuses what cannot be
        own = spec.shortest(cell)
        told = (f"{name}={_told(name, value)}" for name, value in options.items())
        return cls("+".join((own, *told)), cell, MappingProxyType(dict(found)))

    @property
    def is_simple(self) -> bool:
        """Whether the cell has no gates, and so asks for lower learning rates."""
        return self.cell.kind == "rnn"

    @property
    def adds_its_input(self) -> bool:
        """Whether x_t itself is added to the units, so that I must be H."""
        return any(v in ITSELF for gate in self.cell.gates for v in gate.reads)

    @property
    def opened(self) -> LayerLine:
        """The same, where nothing else is said with the gate that keeps an LSTM's state open at
        first: at a bias of 1. Where a cell has no such gate, the same."""
        if not self.cell.has_cell_state or {"forget_bias", "chrono"} & self.options.keys():
            return self
        try:
            return LayerLine.read(f"{self.text}+forget_bias={OPEN:g}")
        except InputError:  # nothing keeps the state
            return self

    def mapped(
        self, input_size: int, hidden_size: int, num_layers: int = 1, **more: Any
    ) -> tuple[nn.Module, Recurrent]:
        """A new layer for inputs of any size, and what they pass before it: a linear map where the
        cell adds x_t itself and I is not H, else nothing.

        Args, Raises: as `build`.
        """
        if not self.adds_its_input or input_size == hidden_size:
            return nn.Identity(), self.build(input_size, hidden_size, num_layers, **more)
        layer = self.build(hidden_size, hidden_size, num_layers, **more)
        return nn.Linear(input_size, hidden_size), layer

    def build(
        self, input_size: int, hidden_size: int, num_layers: int = 1, **more: Any
    ) -> Recurrent:
        """A new layer: `LSTM`, `GRU` or `RNN` where the cell is theirs.

        Args:
            more: of torch.nn's arguments: dropout, bidirectional, ...

        Raises:
            InputError: sizes that a layer cannot have; I other than H where the cell adds x_t.
        """
        own = name_of(self.cell)
        if own in OWN_LAYERS:
            kind = OWN_LAYERS[own]
            return kind(input_size, hidden_size, num_layers, **more, **self.options)
        return Recurrent(
            input_size, hidden_size, num_layers, cell=own or self.cell, **more, **self.options
        )


def split_outside(text: str, mark: str) -> list[str]:
    """The parts of a text between marks that are in no parentheses, without spaces around them.

    Example:
        >>> from glasscell.nn.lines import split_outside
        >>> split_outside("gru, lstm(beta=1, forget_gate=None)", ",")
        ['gru', 'lstm(beta=1, forget_gate=None)']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        of_a_number = letter == "+" and re.search(r"\d\.?e$", parts[-1])  # 1e+15
        if letter == mark and depth == 0 and not of_a_number:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


# What is read after "name="


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise InputError(f"{name}: expected a number, got {value!r}") from None


def _rates(name: str, value: str) -> float | tuple[float, ...]:
    rates = tuple(_number(name, each) for each in value.split("/"))
    return rates[0] if len(rates) == 1 else rates


def _word(name: str, value: str) -> str:
    return value


def _gates(name: str, value: str) -> dict[str, str]:
    drawn = {}
    for each in value.split("/"):
        gate, _, how = each.partition(":")
        gate = gate.strip().removesuffix("_gate")
        if gate in drawn:
            raise InputError(f"{name}: {gate} is given twice in {value!r}")
        drawn[gate] = how.strip() or "bernoulli"
    return drawn


_OPTIONS: dict[str, Callable[[str, str], Any]] = {
    "forget_bias": _number,
    "chrono": _number,
    "init": _word,
    "stochastic": _gates,
    "zoneout": _rates,
    "recurrent_dropout": _number,
    "weight_dropout": _number,
}


def _told(name: str, value: Any) -> str:
    """What is read after "name=" as this value."""
    if name == "stochastic":
        hows = drawn_gates(value)
        return "/".join(
            gate if how == "bernoulli" else f"{gate}:{how}" for gate, how in hows.items()
        )
    if name == "init":
        return str(value)
    rates = value if isinstance(value, Sequence) else (value,)
    return "/".join(_number_told(float(rate)) for rate in rates)


def _number_told(number: float) -> str:
    """The shortest text that is read as the same number."""
    return repr(number).removesuffix(".0")
