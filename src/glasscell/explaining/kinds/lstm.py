"""How an LSTM's step is told, whichever gates it has (`glasscell.cells.lstm`)."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from glasscell.cells import LSTM
from glasscell.explaining.expressions import Expression, Less, MatrixTimes, Name, Over, Product, Sum
from glasscell.explaining.formulas import (
    ONE,
    PURPOSES,
    activation,
    before_squash,
    defined,
    function,
    gate_part,
    held,
    seen,
    squashed,
    summed,
)
from glasscell.explaining.telling import Part, Setting, StatePart, Telling, Told

I, F, G, O = (Name(f"{letter}_t") for letter in "ifgo")
C_BEFORE = Name("c_{t-1}")

MEMORY = (
    "What stays of the old cell state, and what is written to it. $\\odot$ is the Hadamard "
    "product: entry by entry, so unit by unit; no unit's memory touches another's."
)
OUTPUT = "What the rest of the model, and the next step, get to see of the memory."
NO_INPUT_GATE = "There is no input gate: the candidate is written whole."
NO_FORGET_GATE = "There is no forget gate: all of the memory stays."
NO_OUTPUT_GATE = "There is no output gate: all of the memory is shown."
NO_SQUASH = "The memory is shown as it is: nothing squashes it on its way out."
COUPLED_FORGET = (
    "There is no forget gate of its own: the input gate says what stays, too, $f_t = 1 - i_t$. "
    "As much as is written is forgotten."
)
COUPLED_INPUT = (
    "There is no input gate of its own: what the forget gate lets go is written over, "
    "$i_t = 1 - f_t$."
)
BETA = (
    "There is no input gate of its own: the forget gate says what is written, too. $\\beta$ is "
    "taken off its sum before, so that a unit that keeps its memory still takes something in; here "
    "$\\beta = {:g}$."
)
NORMALISED = (
    "The input and forget gates are divided by their sum: what stays and what is written are "
    "shares of one, however long the sequence."
)


def tell_lstm(cell: LSTM, setting: Setting) -> Telling:
    """The telling of an LSTM."""
    purposes = {}
    if cell.sharing == "complement":
        purposes = {
            "input_gate": f"{PURPOSES['input_gate']} The rest, $1 - i_t$, stays of the old.",
            "forget_gate": f"{PURPOSES['forget_gate']} What goes makes room for the candidate.",
        }
    first = (cell.input_gate, cell.forget_gate, cell.candidate)
    parts: list[Part] = []
    for gate in first:
        if gate is not None:
            part = gate_part(cell, gate, setting, purpose=purposes.get(gate.name))
            takes_sum = gate is cell.forget_gate and _takes_sum(cell, setting)
            parts.append(replace(part, is_apart=True) if takes_sum else part)
    parts.append(_memory(cell, setting))
    if cell.output_gate is not None:  # it may read the new cell state
        parts.append(gate_part(cell, cell.output_gate, setting))
    shown = squashed(cell.output_squash, seen(setting, "c"))
    gate = None if cell.output_gate is None else activation(cell.output_gate)
    parts.append(output_part(shown, gate, setting))
    squashes = [*(gate.squash for gate in cell.gates), cell.output_squash]
    return Telling(
        "an LSTM", tuple(parts), _remarks(cell), defined(squashes), (shown, gate), {"cell": "c"}
    )


def memory_part(
    setting: Setting,
    before: Sequence[Told],
    right: Expression,
    words: tuple[str, ...],
    old: Expression = C_BEFORE,
) -> StatePart:
    """The part about a cell state.

    Args:
        old: what zoneout holds.
    """
    equations = (*before, *held(setting, "cell", "c_t", right, old))
    return StatePart("The cell state $c_t$", words, equations, {"c_t": "the new cell state"})


def output_part(
    shown: Expression,
    gate: str | None,
    setting: Setting,
    before: tuple[Told, ...] = (),
    whole: str = "m_t",
) -> StatePart:
    """The part about a hidden state that shows of the memory what a gate lets through.

    Args:
        whole: what it is called before a projection.
    """
    h = Name("h_{t-1}")
    right = shown if gate is None else Product((Name(gate), shown))
    if setting.projected:
        before = (*before, Told(whole, right))
        right = MatrixTimes("V", Name(whole))
    equations = (*before, *held(setting, "hidden", "h_t", right, h))
    return StatePart(
        "The hidden state $h_t$", (OUTPUT,), equations, {"h_t": "the new hidden state"}
    )


def _memory(cell: LSTM, setting: Setting) -> StatePart:
    before: list[Told] = []
    written: Expression | None = I
    kept: Expression | None = F
    if cell.sharing == "complement" and cell.forget_gate is not None:
        before.append(Told("i_t", _uncovered(cell, setting)))
    elif cell.sharing == "complement":
        before.append(Told("f_t", Less(ONE, I)))
    elif cell.sharing == "normalized":
        total = Sum((I, F))
        before += [Told("i'_t", Over(I, total)), Told("f'_t", Over(F, total))]
        written, kept = Name("i'_t"), Name("f'_t")
    else:
        written = None if cell.input_gate is None else I
        kept = None if cell.forget_gate is None else F
    stays = C_BEFORE if kept is None else Product((kept, C_BEFORE))
    comes = G if written is None else Product((written, G))
    return memory_part(setting, before, summed((stays, comes)), (MEMORY,))


def _takes_sum(cell: LSTM, setting: Setting) -> bool:
    """Whether what is written is told by the sum of the forget gate, and not by its value."""
    gate = cell.forget_gate
    is_sigmoid = gate is not None and gate.squash.name == "sigmoid"
    return cell.beta != 0 and is_sigmoid and "forget_gate" not in setting.drawn


def _uncovered(cell: LSTM, setting: Setting) -> Expression:
    """What the complement of a forget gate lets in."""
    assert cell.forget_gate is not None
    rest = Less(ONE, F)
    if not cell.beta:
        return rest
    beta = Name("\\beta")
    if not _takes_sum(cell, setting):  # no sigmoid of its sum, but the same odds
        odds = Product((function("\\exp", torch.exp, beta), rest))
        return Over(odds, Sum((F, odds)))
    lowered = Less(Name(before_squash(cell.forget_gate)), beta)
    return Less(ONE, function("\\sigma", torch.sigmoid, lowered))


def _remarks(cell: LSTM) -> tuple[str, ...]:
    found = []
    if cell.sharing == "complement":
        coupled = BETA.format(cell.beta) if cell.beta else COUPLED_INPUT
        found.append(COUPLED_FORGET if cell.forget_gate is None else coupled)
    else:
        found += [NO_INPUT_GATE] * (cell.input_gate is None)
        found += [NO_FORGET_GATE] * (cell.forget_gate is None)
    if cell.sharing == "normalized":
        found.append(NORMALISED)
    found += [NO_OUTPUT_GATE] * (cell.output_gate is None)
    found += [NO_SQUASH] * (cell.output_squash.name == "identity")
    if cell.candidate.squash.name == "identity":
        found.append("The candidate is not squashed: it may be as large as its sum.")
    return tuple(found) + reading_remarks(cell)


def reading_remarks(cell) -> tuple[str, ...]:
    """What is to be said where no gate reads the hidden state."""
    if cell.gates_in("U"):
        return ()
    return (
        "No gate reads the hidden state, so there is no $U$: all gates of all steps can be "
        "computed at once, and what runs from step to step is a weighted sum.",
    )
