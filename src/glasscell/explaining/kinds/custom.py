"""How a step is told that nobody has told before: a function of one's own, a new kind of cell."""

from dataclasses import replace
from typing import Any

from glasscell.cells import Cell, Custom, GateMap
from glasscell.explaining.expressions import Name, Product, Sum
from glasscell.explaining.formulas import activation, before_squash, defined, gate_part, value_of
from glasscell.explaining.kinds.lstm import C_BEFORE, MEMORY
from glasscell.explaining.telling import GatePart, Setting, StatePart, Telling, Told

WRITE = Name("\\text{write}")


def tell_custom(cell: Custom, setting: Setting) -> Telling:
    """The telling of a step that is a Python function: its gates, and who computes the rest."""
    name = getattr(cell.function, "__name__", type(cell.function).__name__)
    cell = _with_letters(cell)
    parts = tuple(_gate(cell, gate, setting, name) for gate in cell.gates)
    symbols = {state: _symbol(state) for state in cell.carried}
    told = [f"${symbol}_t$ ({state})" for state, symbol in symbols.items()]
    told = [*told, "$h_t$"]
    listed = " and ".join([", ".join(told[:-1]), told[-1]] if told[:-1] else told)
    is_are = "is" if len(told) == 1 else "are"
    means = {f"{symbol}_t": f"the new {state} state" for state, symbol in symbols.items()}
    means["h_t"] = "the new hidden state"
    words = f"{listed} {is_are} computed by the step function `{name}`."
    states = StatePart("What the step function makes of them", (words,), (), means)
    squashes = [gate.squash for gate in cell.gates]
    return Telling(
        f"a cell with the step function `{name}`",
        (*parts, states),
        (),
        defined(squashes),
        None,
        symbols,
    )


def tell_unknown(cell: Cell, setting: Setting) -> Telling:
    """The telling of a kind of cell that says of itself what stays of its state."""
    parts: Any = tuple(gate_part(cell, gate, setting) for gate in cell.gates)
    state = "c" if cell.has_cell_state else "h"
    long = "cell" if cell.has_cell_state else "hidden"
    if cell.keeping_gate is not None:
        before = C_BEFORE if cell.has_cell_state else Name("h_{t-1}")
        keep = Name(activation(cell.keeping_gate))
        equation = Told(f"{state}_t", Sum((Product((keep, before)), WRITE)))
        means = {f"{state}_t": f"the new {long} state"}
        words = MEMORY.replace("cell state", f"{long} state")
        parts += (StatePart(f"The {long} state ${state}_t$", (words,), (equation,), means),)
    letters = {name: _symbol(name) for name in cell.carried}
    squashes = [gate.squash for gate in cell.gates]
    return Telling(cell.noun, parts, (), defined(squashes), None, letters)


def _gate(cell: Custom, gate: GateMap, setting: Setting, name: str) -> GatePart:
    part = gate_part(cell, gate, setting)
    if gate.name not in setting.remade:
        return part
    assert part.pre is not None
    total = f"{gate.letter}_t^{{\\mathrm{{sum}}}}"
    pre = Name(before_squash(gate))
    purpose = f"Its sum is made into ${pre.name}$ by the step function `{name}`."
    return replace(
        part,
        purpose=f"{part.purpose} {purpose}".strip(),
        before=(Told(total, part.pre.right),),
        pre=None,
        shown=Told(part.symbol, value_of(gate, setting, pre)),
    )


def _with_letters(cell: Custom) -> Custom:
    """The same with other letters where two things would have one, as a candidate and a cell
    state: the LSTM's for a candidate, or else the gate's whole name.
    """
    letters = [gate.letter for gate in cell.gates]
    taken = {"x", "h", *map(_symbol, cell.carried)}

    def other(gate: GateMap) -> GateMap:
        if gate.letter not in taken and letters.count(gate.letter) == 1:
            return gate
        if gate.name == "candidate" and "g" not in letters:
            return replace(gate, letter="g")
        return replace(gate, letter=f"{{\\mathrm{{{gate.name.replace('_', ' ')}}}}}")

    return replace(cell, gates=tuple(map(other, cell.gates)))


def _symbol(state: str) -> str:
    return "c" if state == "cell" else f"\\mathrm{{{state.replace('_', ' ')}}}"
