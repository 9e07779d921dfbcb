"""One step written out: what comes in, each gate, the states, and that all of it adds up."""

from collections.abc import Sequence

import numpy as np

from glasscell.explaining import words
from glasscell.explaining.accounts import SAME, accounts, largest_gap
from glasscell.explaining.choice import chosen
from glasscell.explaining.document import Explanation
from glasscell.explaining.formulas import output_sum, shown_cell, state_sums, subscript
from glasscell.explaining.gate import gate_pieces, verdict
from glasscell.explaining.moment import Moment
from glasscell.explaining.named import named_vectors
from glasscell.explaining.numerals import column, number, shown, size
from glasscell.explaining.pieces import (
    Check,
    Equation,
    Heading,
    Items,
    Matrix,
    Piece,
    Prose,
    Vector,
)


def explain_step(moment: Moment, units: Sequence[int] | None = None) -> Explanation:
    """One step of a cell with all its numbers.

    Args:
        moment: the step.
        units: which units are shown; of more than eight, the first and last ones if absent.

    Raises:
        InputError: a unit that is not there.
    """
    units = checked_units(units, moment.H)
    named = named_vectors(moment)
    pieces: list[Piece] = [*_incoming(moment, named, units)]
    late = [gate for gate in moment.cell.gates if gate.peephole == "c"]
    for gate in moment.cell.gates:
        if gate not in late:
            pieces += gate_pieces(moment, gate, named, units)
    pieces += _memory(moment, named, units)
    for gate in late:  # it reads the new cell state
        pieces += gate_pieces(moment, gate, named, units)
    pieces += _output(moment, named, units)
    pieces.append(Heading("In words"))
    told = [u for u in shown(moment.H, units) if u is not None]
    pieces.append(Items(words.sentences(moment, named, told)))
    pieces += accounts(moment, named)
    return Explanation(_title(moment), pieces)


def checked_units(units: Sequence[int] | None, H: int) -> list[int] | None:
    """Unit numbers in order, negative ones counted from the end."""
    return None if units is None else sorted(set(chosen("units", units, H)))


def _title(moment: Moment) -> str:
    kind = words.kind(moment.cell)
    if moment.t is None:
        return f"One step of {kind}"
    return f"Step {moment.t} of `{moment.name}`, {kind}"


def _incoming(moment: Moment, named: dict, units: list[int] | None) -> list[Piece]:
    of_h = units if moment.P == moment.H else None
    pieces: list[Piece] = [Heading("What comes in")]
    if len(shown(moment.H, units)) < moment.H or units is not None:
        told = ", ".join(str(u) for u in shown(moment.H, units) if u is not None)
        pieces.append(
            Prose(
                f"The layer has {moment.H} units; the numbers of units {told} are shown, and all "
                "sums are over all of them."
            )
        )
    if moment.x is not None:
        meaning = f"the input{f', {moment.inputs}' if moment.inputs else ''}"
        pieces.append(Vector("x_t", named["x_t"], meaning=meaning))
    shown_before = f"the hidden state {moment.before}: what it showed"
    pieces.append(Vector("h_{t-1}", named["h_{t-1}"], of_h, shown_before))
    if moment.c is not None:
        held_before = f"the cell state {moment.before}: what it held"
        pieces.append(Vector("c_{t-1}", named["c_{t-1}"], units, held_before))
    if moment.weights is None:
        pieces.append(
            Prose(
                "A record holds what went into each squash and what came out, and no weights: the "
                "products that led there are shown by `glasscell.explain(layer, x)`."
            )
        )
        return pieces
    return pieces + _one_product_or_two(moment, named, of_h, units)


def _one_product_or_two(
    moment: Moment, named: dict, of_h: list[int] | None, units: list[int] | None
) -> list[Piece]:
    """[U W] [h; x] against U h + W x."""
    w, cell = moment.weights, moment.cell
    assert w is not None
    both = np.concatenate((named["h_{t-1}"], named["x_t"]))
    stacked = np.concatenate((w.U.numpy(), w.W.numpy()), axis=1) @ both  # (G*H,)
    letters = [subscript(cell, gate) for gate in cell.gates]
    apart = [named[f"U{letter} h_{{t-1}}"] + named[f"W{letter} x_t"] for letter in letters]
    gap = largest_gap(stacked, np.concatenate(apart))
    k, first = letters[0], stacked[: moment.H]
    P, I = moment.P, len(named["x_t"])
    keep = None if of_h is None else [*of_h, *(P + i for i in range(min(I, 3)))]
    U_h, W_x = named[f"U{k} h_{{t-1}}"], named[f"W{k} x_t"]
    return [
        Heading("One product or two", 3),
        Prose(
            "Many texts put the hidden state and the input into one long vector, "
            "$[h_{t-1}, x_t]$, and multiply it by one wide matrix. Here are two matrices, $U$ for "
            "the hidden state and $W$ for the input, and two products. It is the same: the wide "
            "matrix is $U$ and $W$ side by side."
        ),
        Vector("[h_{t-1}, x_t]", both, keep, f"{P} hidden values, then {I} inputs"),
        Equation(
            f"[U{k} \\; W{k}] \\, [h_{{t-1}}, x_t] = {column(first, units)}",
            "one product",
        ),
        Equation(
            f"U{k} h_{{t-1}} + W{k} x_t = {column(U_h, units)} + {column(W_x, units)} "
            f"= {column(U_h + W_x, units)}",
            "two products",
        ),
        Check(
            f"one product and two give the same for all {moment.H * cell.G} rows of all gates: "
            f"the largest difference is {number(gap)}",
            gap <= SAME,
        ),
    ]


def _memory(moment: Moment, named: dict, units: list[int] | None) -> list[Piece]:
    sums = state_sums(moment.cell)
    if not sums:
        return []
    state = "cell" if moment.cell.has_cell_state else "hidden"
    pieces: list[Piece] = [Heading(f"The {state} state ${sums[0].left}$")]
    keep = moment.cell.keeping_gate
    if keep is not None:
        pieces.append(
            Prose(
                f"What stays of the old {state} state, and what is written to it. $\\odot$ is the "
                "Hadamard product: entry by entry, so unit by unit; no unit's memory touches "
                "another's."
            )
        )
    for each in sums:
        value = named[each.left]
        numeric = each.numeric(lambda v: column(v, units), named)
        pieces += [
            Equation(each.latex),
            Equation(f"{each.left} = {numeric} = {column(value, units)}"),
            Vector(each.left, value, units, f"the new {state} state"),
        ]
        factors = [factor for term in each.terms for factor in term]
        pieces.append(_same_size(factors, named))
    return pieces


def _output(moment: Moment, named: dict, units: list[int] | None) -> list[Piece]:
    projected = moment.weights is not None and moment.weights.V is not None
    apart = projected or moment.P != moment.H  # a record has a projection's result alone
    shows = output_sum(moment.cell, apart)
    if shows is None:
        return []
    pieces: list[Piece] = [
        Heading("The hidden state $h_t$"),
        Prose("What the rest of the model, and the next step, get to see of the memory."),
        Equation(f"h_t = V m_t, \\quad {shows.latex}" if apart else shows.latex),
        Equation(
            f"{shown_cell(moment.cell)} = {column(named[shown_cell(moment.cell)], units)}"  # type: ignore[arg-type]
        ),
    ]
    value = shows.value(named)
    numeric = shows.numeric(lambda v: column(v, units), named)
    pieces.append(Equation(f"{shows.left} = {numeric} = {column(value, units)}"))
    pieces.append(_same_size(list(shows.terms[0]), named))
    if projected:
        assert moment.weights is not None
        assert moment.weights.V is not None
        V = moment.weights.V.numpy()
        reason = f"{moment.P} hidden values out, {moment.H} units in"
        fits = V.shape == (moment.P, moment.H)
        pieces += [
            Matrix("V", V, reason, columns=units),
            Check(f"$V$ is {size(V.shape)}: {reason}: {verdict(fits)}", fits),
        ]
    of_h = units if moment.P == moment.H else None
    pieces.append(Vector("h_t", named["h_t"], of_h, "the new hidden state"))
    return pieces


def _same_size(factors: list[str], named: dict) -> Check:
    sizes = {named[factor].shape for factor in factors}
    told = ", ".join(f"${factor}$" for factor in factors[:-1]) + f" and ${factors[-1]}$"
    fits = len(sizes) == 1
    each = " and ".join(size(shape) for shape in sorted(sizes))
    return Check(f"{told} are each {each}: multiplied entry by entry: {verdict(fits)}", fits)
