"""What sets a cell apart from the textbook's, and the refusal where another library lacks it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from glasscell import cells
from glasscell.cells import Cell, GateMap, Squash, spec
from glasscell.errors import InputError

# Each in words that follow "Keras has no ...".
Trait = tuple[str, str]


def traits(cell: Cell) -> Iterator[Trait]:
    """What the cell has that a plain LSTM, GRU or RNN has not, by a name and in words."""
    if type(cell) not in (cells.LSTM, cells.GRU, cells.RNN):
        yield "kind", f"cell of this kind ({cell.kind})"
        return
    for gate in cell.gates:
        if gate.peephole == "h_own":
            yield "own", "units that read of the past themselves alone"
        elif "x" not in gate.reads or "h" not in gate.reads:
            yield "reads", f"{_words(gate)} that reads only {' and '.join(gate.reads)}"
        elif gate.peephole:
            yield "peepholes", f"peephole of the {_words(gate)}"
        if gate.stochastic:
            yield "stochastic", f"{_words(gate)} whose value is drawn"
    if isinstance(cell, cells.LSTM):
        yield from _of_an_lstm(cell)
    if isinstance(cell, cells.GRU):
        if cell.reset_gate is None:
            yield "missing", "GRU without a reset gate"
        elif not cell.reset_after:
            yield "reset_before", "reset gate that acts before the product with U_n"
    yield from _squashes(cell)


def _of_an_lstm(cell: cells.LSTM) -> Iterator[Trait]:
    if cell.sharing == "complement" and cell.input_gate is not None:
        yield "coupled", "forget gate that is 1 - the input gate"
    elif cell.sharing:
        yield "sharing", "input and forget gates that share in this way"
    else:
        if cell.input_gate is None:
            yield "missing", "LSTM without an input gate"
        if cell.forget_gate is None:
            yield "missing", "LSTM without a forget gate"
    if cell.output_gate is None:
        yield "missing", "LSTM without an output gate"


def _squashes(cell: Cell) -> Iterator[Trait]:
    usual = {gate.name: gate.squash for gate in type(cell)().gates}
    for gate in cell.gates:
        if gate.squash is not usual[gate.name]:
            yield "squashes", f"{_words(gate)} that ends in {gate.squash.name}"
    if isinstance(cell, cells.LSTM) and cell.output_squash is not cells.LSTM().output_squash:
        yield "squashes", f"cell state that goes out through {cell.output_squash.name}"


def require(cell: Cell, where: str, *allowed: str, argument: str = "layer") -> None:
    """Raises InputError for a cell that the other library does not have, and says why.

    Args:
        where: the library: "Keras".
        allowed: names of the traits that it has.
    """
    for name, words in traits(cell):
        if name not in allowed:
            raise InputError(f"{argument}: {where} has no {words}, got {described(cell)}")


def described(cell: Cell) -> str:
    """The cell as a person would ask for it: cell="peephole"."""
    return f'cell="{spec.shortest(cell)}"'


def kind_of(given: Any) -> str:
    """An object of another library by its class's whole name: "keras.src.layers.rnn.lstm.LSTM"."""
    return f"{type(given).__module__}.{type(given).__qualname__}"


def shared_squash(cell: Cell, names: tuple[str, ...], where: str) -> Squash:
    """The one squash of several gates.

    Raises:
        InputError: they differ, where the other library has one for all of them.
    """
    found = {gate.name: gate.squash for gate in cell.gates if gate.name in names}
    first, *others = found.values()
    if any(squash is not first for squash in others):
        told = ", ".join(f"{name} {squash.name}" for name, squash in found.items())
        raise InputError(f"layer: {where} has one activation for {', '.join(names)}, got {told}")
    return first


def with_squashes(cell: Cell, gates: Squash, candidate: Squash, output: Squash) -> Cell:
    """The plain LSTM, GRU or RNN with other squashes: of gates proper, of the candidate (or the
    RNN's hidden state), and of the LSTM's cell state on its way out.
    """

    def ending(gate: GateMap) -> GateMap:
        proper = gate.name.endswith("_gate")
        return replace(gate, squash=gates if proper else candidate)

    changed = {gate.name: ending(gate) for gate in cell.gates}
    if isinstance(cell, cells.LSTM):
        return replace(cell, **changed, output_squash=output)
    return replace(cell, **changed)  # type: ignore[type-var]


def _words(gate: GateMap) -> str:
    return gate.name.replace("_", " ")
