"""One gate of a step: its matrices and their sizes, the products, the bias, the squash."""

import numpy as np

from glasscell.explaining import words
from glasscell.explaining.expressions import MatrixTimes
from glasscell.explaining.formulas import before_squash, squash_latex
from glasscell.explaining.named import Numbers
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
from glasscell.explaining.telling import GatePart, Told, Weight

MOST_TERMS = 6  # of one unit's sum that are written out


def gate_pieces(
    numbers: Numbers,
    part: GatePart,
    units: list[int] | None,
    hidden: list[int] | None,
) -> list[Piece]:
    """The part about one gate.

    Args:
        units: which units are shown.
        hidden: which entries of a hidden state are.
    """
    named, pre = numbers.named, before_squash(part.gate)
    pieces: list[Piece] = [Heading(words.gate_title(part)), Prose(words.purpose(part))]
    pieces += [Equation(each.latex) for each in part.read]
    if part.weights and part.weights[0].name in named:
        pieces += _matrices(numbers, part, units, hidden)
        pieces += _by_hand(part.weights[0], named, units)
        pieces += [numeric(each, named, units) for each in part.sums]
    if part.pre is None or part.weights[0].name not in named:
        told = f"what went into the {part.gate.squash.name.replace('_', ' ')}"
        pieces.append(Vector(pre, named[pre], units, told))
    if part.value is not None:
        pieces += _draw(part, named, units)
        pieces.append(Vector(part.value.left, named[part.value.left], units, _meaning(part)))
    elif part.pre is None:
        pieces.append(Vector(part.symbol, named[part.symbol], units, _meaning(part)))
    return pieces


def numeric(told: Told, named: dict[str, np.ndarray], units: list[int] | None) -> Equation:
    """An equation with numbers in place of names, and its result."""

    def write(v: np.ndarray) -> str:
        return column(v, units) if v.ndim else number_latex(float(v))

    result, sides = write(named[told.left]), told.right.numeric(write, named)
    right = result if sides == result else f"{sides} = {result}"
    return Equation(f"{told.left} = {right}")


def _meaning(part: GatePart) -> str:
    squash, gate = squash_latex(part.gate.squash), part.gate
    low, high = (f"${number_latex(end)}$" for end in gate.squash.range)
    between = f"between {low} and {high}, one value a unit"
    value = part.value
    drawn = value is not None and value.left == part.symbol and f"u_{gate.letter}" in value.latex
    if drawn and gate.stochastic == "bernoulli":
        return "drawn: 1 where $u$ is below those odds, 0 elsewhere"
    if drawn:
        return "drawn by the Gumbel-sigmoid: between $0$ and $1$, one value a unit"
    if gate.squash.name == "identity":
        return "that itself: no squash, one value a unit"
    return f"${squash}$ of that: {between}"


def _draw(part: GatePart, named: dict[str, np.ndarray], units: list[int] | None) -> list[Piece]:
    """The numbers that a gate's draw is made with, where it is drawn."""
    name = f"u_{part.gate.letter}"
    if part.value is None or name not in named or name not in part.value.latex:
        return []
    return [Vector(name, named[name], units, "drawn anew at each step, between 0 and 1")]


def _matrices(
    numbers: Numbers,
    part: GatePart,
    units: list[int] | None,
    hidden: list[int] | None,
) -> list[Piece]:
    """The gate's own weights and why they have their sizes."""
    named = numbers.named
    H = len(named[part.symbol])
    pieces: list[Piece] = []
    checks: list[Piece] = []
    for weight in part.weights:
        values, n = named[weight.name], len(weight.times.value(named))
        reason = f"{H} units out, {n} {weight.incoming} in"
        across = hidden if weight.incoming == "hidden values" else None
        pieces.append(Matrix(weight.name, values, reason, rows=units, columns=across))
        fits = values.shape == (H, n)
        told = f"${weight.name}$ is {size(values.shape)}: {reason}: {verdict(fits)}"
        checks.append(Check(told, fits))
    for name, what in part.vectors:
        fits = named[name].shape == (H,)
        told = f"${name}$ is {size(named[name].shape)}: {what} for each unit: {verdict(fits)}"
        checks.append(Check(told, fits))
    both = {weight.incoming for weight in part.weights} >= {"inputs", "hidden values"}
    biases = [name for name, what in part.vectors if what == "a bias"]
    if both and numbers.two_biases and len(biases) == 1:
        W, U = part.weights[0].name, part.weights[1].name
        sentence = f"${biases[0]}$ is the sum of the two biases that PyTorch keeps, of ${W}$ and "
        pieces.append(Prose(f"{sentence}${U}$."))
    return [*pieces, *checks]


def verdict(fits: bool) -> str:
    """In words."""
    return "fits" if fits else "does not fit"


def _by_hand(weight: Weight, named: dict[str, np.ndarray], units: list[int] | None) -> list[Piece]:
    """One entry of one product with every multiplication, as one would on paper."""
    u = units[0] if units else 0
    row, x = named[weight.name][u], weight.times.value(named)
    terms = [
        f"{_factor(w)} \\cdot {_factor(v)}"
        for w, v in zip(row[:MOST_TERMS], x[:MOST_TERMS], strict=True)
    ]
    if len(row) > MOST_TERMS:
        terms[-1] = "\\ldots"
        terms.append(f"{_factor(row[-1])} \\cdot {_factor(float(x[-1]))}")
    total = number_latex(float(row @ x))
    times = weight.times.latex
    product = MatrixTimes(weight.name, weight.times).latex
    latex = f"({product})_{{{u}}} = {' + '.join(terms)} = {total}"
    remark = f"one entry by hand, unit {u}: its row of ${weight.name}$ times ${times}$"
    return [Equation(latex, remark)]


def _factor(value: float) -> str:
    text = number_latex(float(value))
    return f"({text})" if text.startswith("-") else text
