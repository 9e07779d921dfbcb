"""Keras's layers, cells and wrappers, taken apart into one recurrence for each layer and direction.

A layer says by itself what it is; Keras is imported to read its weights, on any backend.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from glasscell.cells import Cell
from glasscell.errors import InputError
from glasscell.interchange.keras_cells import KINDS, cell_of
from glasscell.interchange.traits import kind_of

STEPS = {f"{name}Cell": name for name in KINDS}
WAY_OUT = {
    "stateful": "give it states, or run it by glasscell.stream",
    "dropout": "it acts in training alone; ignore_dropout=True leaves it behind",
    "recurrent_dropout": "it acts in training alone; ignore_dropout=True leaves it behind",
}


@dataclass(frozen=True)
class KerasPart:
    """One layer in one direction.

    Attributes:
        source: the Keras object that has the weights.
        config: what it says of itself.
        where: what an error calls it.
        one_step: whether it is a cell by itself.
    """

    source: Any
    config: dict[str, Any]
    where: str
    one_step: bool

    @property
    def name(self) -> str:
        """ "LSTM", "GRU" or "SimpleRNN"."""
        return type(self.source).__name__.removesuffix("Cell")

    @property
    def cell(self) -> Cell:
        return cell_of(self.name, self.config, self.where)

    @property
    def bias(self) -> bool:
        return bool(self.config["use_bias"])

    def weights(self) -> list[Any]:
        """Its arrays.

        Raises:
            InputError: it has none yet.
        """
        if not self.source.built:
            raise InputError(
                f"{self.where}: expected a layer that has its weights, got one that is not built; "
                "run it once, or .build((None, None, features))"
            )
        from keras import ops

        values = [each.value for each in self.source.weights]
        return [v if isinstance(v, Tensor) else ops.convert_to_numpy(v) for v in values]


def taken_apart(given: Any, argument: str, ignore_dropout: bool) -> list[list[KerasPart]]:
    """The recurrences of a layer, or of a list of layers, for each layer and direction.

    Raises:
        InputError: something that is no recurrent layer of Keras 3's, or does what ours do not.
    """
    layers = list(given) if isinstance(given, (list, tuple)) else [given]
    if not layers:
        raise InputError(f"{argument}: expected a Keras layer or several, got none")
    found: list[list[KerasPart]] = []
    for k, layer in enumerate(layers):
        where = argument if len(layers) == 1 else f"{argument}[{k}]"
        found += _layers(layer, where)
    for part in (part for directions in found for part in directions):
        _check(part, ignore_dropout)
    if len(found) > 1 and any(part.one_step for directions in found for part in directions):
        raise InputError(f"{argument}: expected one cell, got {len(found)}; stack layers instead")
    return found


def _layers(layer: Any, where: str) -> list[list[KerasPart]]:
    name = _class_of(layer, where)
    if name == "Bidirectional":
        config = layer.get_config()
        if config["merge_mode"] != "concat":
            raise InputError(
                f'{where}: merge_mode: expected "concat", got {config["merge_mode"]!r}: a '
                "bidirectional layer here gives both directions side by side; convert each "
                "direction by itself and merge their outputs"
            )
        directions = (
            _one_direction(layer.forward_layer, f"{where}.forward_layer", backwards=False),
            _one_direction(layer.backward_layer, f"{where}.backward_layer", backwards=True),
        )
        if len(directions[0]) > 1:
            raise InputError(
                f"{where}: expected one cell in each direction, got {len(directions[0])}: a stack "
                "here reads both directions of the layer below"
            )
        return [[*directions[0], *directions[1]]]
    return [[part] for part in _one_direction(layer, where, backwards=False)]


def _one_direction(layer: Any, where: str, backwards: bool) -> list[KerasPart]:
    name = _class_of(layer, where)
    if name in STEPS:
        return [KerasPart(layer, layer.get_config(), where, one_step=True)]
    if layer.go_backwards != backwards:
        raise InputError(
            f"{where}: go_backwards: expected {backwards}, got {layer.go_backwards}: a layer here "
            "runs backwards only beside one that runs forwards; set layer.go_backwards = False, "
            "and give ours the steps in reverse order, input.flip(1)"
        )
    if layer.stateful:
        raise InputError(f"{where}: stateful: expected False, got True; {WAY_OUT['stateful']}")
    if name != "RNN":  # an LSTM, GRU or SimpleRNN, which says all of its cell
        return [KerasPart(layer, layer.get_config(), where, one_step=False)]
    cells = list(_cells(layer.cell))
    for cell in cells:
        if _class_of(cell, f"{where}.cell") not in STEPS:
            raise InputError(f"{where}.cell: expected {_listed(STEPS)}, got {kind_of(cell)}")
    return [KerasPart(cell, cell.get_config(), f"{where}.cell", one_step=False) for cell in cells]


def _cells(cell: Any) -> Iterator[Any]:
    if type(cell).__name__ == "StackedRNNCells":
        for each in cell.cells:
            yield from _cells(each)
    else:
        yield cell


def _check(part: KerasPart, ignore_dropout: bool) -> None:
    names = () if ignore_dropout else ("dropout", "recurrent_dropout")
    for name in names:
        if value := part.config.get(name):
            raise InputError(f"{part.where}: {name}: expected 0, got {value}; {WAY_OUT[name]}")


def _class_of(layer: Any, where: str) -> str:
    """The name of Keras's own class."""
    name, module = type(layer).__name__, type(layer).__module__
    known = (*KINDS, *STEPS, "RNN", "Bidirectional")
    if not module.startswith("keras.src.") or name not in known:
        raise InputError(f"{where}: expected {_listed(known)} of Keras's, got {kind_of(layer)}")
    version = str(getattr(sys.modules.get("keras"), "__version__", "3"))
    if int(version.split(".")[0]) < 3:
        raise InputError(f"{where}: expected a layer of Keras 3, got one of {version}")
    return name


def _listed(names: Sequence[str] | dict[str, str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"
