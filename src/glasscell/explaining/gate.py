"""One gate of a step: its matrices and their sizes, the products, the bias, the squash."""

import numpy as np

from glasscell.cells import GateMap
from glasscell.explaining import words
from glasscell.explaining.formulas import (
    activation,
    before_squash,
    gate_sums,
    squash_latex,
    subscript,
)
from glasscell.explaining.moment import Moment
from glasscell.explaining.numerals import column, number_latex, size
from glasscell.explaining.pieces import (
    Check,
    Equation,
    Heading,
    Matrix,
    Piece,
    Prose,
    Vector,
)

MOST_TERMS = 6  # of one unit's sum that are written out


def gate_pieces(
    moment: Moment, gate: GateMap, named: dict[str, np.ndarray], units: list[int] | None
) -> list[Piece]:
    """The part about one gate."""
    squash, out, pre = squash_latex(gate.squash), activation(gate), before_squash(gate)
    sums = gate_sums(moment.cell, gate, moment.weights)
    inside = sums[-1].right
    pieces: list[Piece] = [
        Heading(words.gate_title(gate)),
        Prose(words.purpose(gate)),
        Equation(f"{out} = {squash}({inside})"),
    ]
    pieces += [Equation(each.latex) for each in sums[:-1]]
    if moment.weights is not None:
        pieces += _matrices(moment, gate, named, units)
        pieces += _by_hand(moment, gate, units)
        for each in sums:
            numeric = each.numeric(lambda v: column(v, units), named)
            pieces.append(Equation(f"{each.left} = {numeric} = {column(named[each.left], units)}"))
    else:
        pieces.append(Vector(pre, named[pre], units, f"what went into the {gate.squash.name}"))
    meaning = f"between {_bound(gate, 0)} and {_bound(gate, 1)}, one value a unit"
    value = Vector(out, named[out], units, f"${squash}$ of that: {meaning}")
    return [*pieces, value]


def _bound(gate: GateMap, end: int) -> str:
    return f"${number_latex(gate.squash.range[end])}$"


def _matrices(
    moment: Moment, gate: GateMap, named: dict[str, np.ndarray], units: list[int] | None
) -> list[Piece]:
    """The gate's own weights and why they have their sizes."""
    w, cell, H, P = moment.weights, moment.cell, moment.H, moment.P
    assert w is not None
    g, k = cell.gates.index(gate), subscript(cell, gate)
    U, W = (m.unflatten(0, (cell.G, H))[g].numpy() for m in (w.U, w.W))
    across = units if P == H else None
    reasons = {
        f"W{k}": (W, f"{H} units out, {W.shape[1]} inputs in", None, len(named["x_t"])),
        f"U{k}": (U, f"{H} units out, {P} hidden values in", across, P),
    }
    pieces: list[Piece] = []
    checks: list[Piece] = []
    for name, (values, reason, columns, n) in reasons.items():
        pieces.append(Matrix(name, values, reason, rows=units, columns=columns))
        fits = values.shape == (H, n)
        checks.append(Check(f"${name}$ is {size(values.shape)}: {reason}: {verdict(fits)}", fits))
    for name in (f"b{k}", f"b'{k}", f"p{k}"):
        if name in named:
            what = "a bias" if name[0] == "b" else "a peephole weight"
            fits = named[name].shape == (H,)
            told = f"${name}$ is {size(named[name].shape)}: {what} for each unit: {verdict(fits)}"
            checks.append(Check(told, fits))
    if f"b'{k}" not in named and w.b_x is not None and w.b_h is not None:
        pieces.append(
            Prose(f"$b{k}$ is the sum of the two biases that PyTorch keeps, of $W{k}$ and $U{k}$.")
        )
    return [*pieces, *checks]


def verdict(fits: bool) -> str:
    return "fits" if fits else "does not fit"


def _by_hand(moment: Moment, gate: GateMap, units: list[int] | None) -> list[Piece]:
    """One entry of one product with every multiplication, as one would on paper."""
    w, x, cell = moment.weights, moment.x, moment.cell
    assert w is not None
    assert x is not None
    u = units[0] if units else 0
    g, k = cell.gates.index(gate), subscript(cell, gate)
    row = w.W.unflatten(0, (cell.G, moment.H))[g, u].numpy()
    terms = [
        f"{_factor(weight)} \\cdot {_factor(value)}"
        for weight, value in zip(row[:MOST_TERMS], x.numpy()[:MOST_TERMS], strict=True)
    ]
    if len(row) > MOST_TERMS:
        terms[-1] = "\\ldots"
        terms.append(f"{_factor(row[-1])} \\cdot {_factor(float(x[-1]))}")
    total = number_latex(float(row @ x.numpy()))
    latex = f"(W{k} x_t)_{{{u}}} = {' + '.join(terms)} = {total}"
    return [Equation(latex, f"one entry by hand, unit {u}: its row of $W{k}$ times $x_t$")]


def _factor(value: float) -> str:
    text = number_latex(float(value))
    return f"({text})" if text.startswith("-") else text
