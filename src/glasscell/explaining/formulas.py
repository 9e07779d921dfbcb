r"""How a gate is told: its sum and its squash follow from its gate map.

Names of what an equation holds: `W_f` and `U_f` are a gate's own rows of the matrices, `b_f` the
sum of its biases, `p_f` its peephole; `\mu` is what dropout leaves of h_{t-1}, `u_f` a draw, `k_c`
what zoneout holds.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from glasscell.cells import Cell, GateMap, Squash
from glasscell.explaining.expressions import (
    Applied,
    Drawn,
    Expression,
    Less,
    MatrixTimes,
    Name,
    Number,
    Over,
    Product,
    Sum,
)
from glasscell.explaining.telling import GatePart, Setting, Told, Weight

SQUASH_LATEX = {
    "sigmoid": "\\sigma",
    "tanh": "\\tanh",
    "hard_sigmoid": "\\mathrm{hardsigmoid}",
    "hard_tanh": "\\mathrm{hardtanh}",
    "exponential": "\\exp",
}
# Of those that one may not know.
DEFINITIONS = {
    "relu": "\\mathrm{relu}(v) = \\max(v, 0)",
    "hard_sigmoid": "\\mathrm{hardsigmoid}(v) = \\max(0, \\min(1, \\frac{v}{6} + \\frac{1}{2}))",
    "hard_tanh": "\\mathrm{hardtanh}(v) = \\max(-1, \\min(1, v))",
    "positive": "\\mathrm{positive}(v) = \\begin{cases} v + \\frac{1}{2} & v \\ge 0 \\\\ "
    "\\sigma(v) & v < 0 \\end{cases}",
}
PURPOSES = {
    "input_gate": "How much of the candidate is let into the memory: 0 nothing, 1 all of it.",
    "forget_gate": "How much of the old cell state stays: 0 nothing, 1 all of it.",
    "output_gate": "How much of the memory is shown to the rest of the model: 0 nothing, 1 all.",
    "reset_gate": "How much of the past the candidate gets to see: 0 nothing, 1 all of it.",
    "update_gate": "How much of the old hidden state stays: 0 nothing, 1 all of it.",
    "candidate": "What could be written into the memory, before a gate says how much of it is.",
}
X, H = Name("x_t"), Name("h_{t-1}")
ONE = Number(1)


def subscript(cell: Cell, gate: GateMap) -> str:
    """What tells a gate's weights from those of the others: "_f"; nothing for an only gate."""
    return "" if cell.G == 1 else f"_{gate.letter}"


def squash_latex(squash: Squash) -> str:
    """ "\\sigma"."""
    upright = squash.name.replace("_", " ")
    return SQUASH_LATEX.get(squash.name, f"\\mathrm{{{upright}}}")


def squashed(squash: Squash, v: Expression) -> Expression:
    """The squash of an expression."""
    if squash.name == "identity":
        return v
    return function(squash_latex(squash), squash.apply, v)


def function(name: str, of: Callable[..., torch.Tensor], *arguments: Expression) -> Applied:
    """A function of torch's, in an equation."""

    def in_numpy(*arrays: np.ndarray) -> np.ndarray:
        return of(*(torch.from_numpy(np.asarray(array)) for array in arrays)).numpy()

    return Applied(name, in_numpy, arguments)


def defined(squashes: Sequence[Squash]) -> tuple[str, ...]:
    """What the less known among them are."""
    names = dict.fromkeys(squash.name for squash in squashes)
    return tuple(DEFINITIONS[name] for name in names if name in DEFINITIONS)


def activation(gate: GateMap) -> str:
    """A gate's letter with its step: "f_t"."""
    return f"{gate.letter}_t"


def before_squash(gate: GateMap) -> str:
    """What goes into its squash: "f_t^{pre}"."""
    return f"{gate.letter}_t^{{\\mathrm{{pre}}}}"


def masked(setting: Setting, *read: Expression) -> Expression:
    """What products read of the past: all of it, or what dropout leaves."""
    parts = (Name("\\mu"), *read) if setting.masked else read
    return parts[0] if len(parts) == 1 else Product(parts)


def value_of(gate: GateMap, setting: Setting, v: Expression) -> Expression:
    """What a gate makes of its sum: its squash, or what is drawn with those odds."""
    if gate.name not in setting.drawn:
        return squashed(gate.squash, v)
    u = Name(f"u_{gate.letter}")
    if gate.stochastic == "gumbel":
        log = (function("\\log", torch.log, each) for each in (u, Less(ONE, u)))
        drawn = Less(Sum((v, next(log))), next(log))
        over = drawn if gate.temperature == 1 else Over(drawn, Number(gate.temperature))
        return function("\\sigma", torch.sigmoid, over)
    return Drawn(u, squashed(gate.squash, v))


def gate_part(
    cell: Cell,
    gate: GateMap,
    setting: Setting,
    *,
    symbol: str | None = None,
    purpose: str | None = None,
    past: tuple[Expression, ...] = (H,),
    extra: Sequence[tuple[Expression, Weight]] = (),
) -> GatePart:
    """The part about a gate whose sum is what its map says.

    Args:
        symbol: its value's name, where it is not its letter's.
        purpose: what it is for, where a cell uses it otherwise than most.
        past: the factors of what it reads in place of h_{t-1}.
        extra: further products, before the bias.
    """
    k = subscript(cell, gate)
    terms: list[Expression] = []
    weights: list[Weight] = []
    vectors: list[tuple[str, str]] = []

    def product(matrix: str, vector: Expression, incoming: str) -> None:
        terms.append(MatrixTimes(matrix, vector))
        weights.append(Weight(matrix, vector, incoming))

    for v in gate.reads:
        if v == "x":
            product(f"W{k}", X, "inputs")
        elif v == "x_itself":
            terms.append(X)
        elif v == "tanh_x":
            terms.append(function("\\tanh", torch.tanh, X))
        elif v == "h":
            product(f"U{k}", masked(setting, *past), "hidden values")
        elif v == "tanh_h":
            tanh = function("\\tanh", torch.tanh, *past)
            product(f"U{k}", masked(setting, tanh), "hidden values")
        elif v == "h_own":
            terms.append(Product((Name("u"), *_factors(masked(setting, H)))))
            vectors.append(("u", "a weight of its own past"))
        else:
            state = Name("c_t" if v == "c" else "c_{t-1}")
            terms.append(Product((Name(f"p{k}"), state)))
            vectors.append((f"p{k}", "a peephole weight"))
    for term, weight in extra:
        terms.append(term)
        weights.append(weight)
    if setting.biased:
        terms.append(Name(f"b{k}"))
        vectors.append((f"b{k}", "a bias"))
    return told_gate(
        gate, setting, summed(terms), symbol=symbol, purpose=purpose,
        weights=tuple(weights), vectors=tuple(vectors),
    )  # fmt: skip


def told_gate(
    gate: GateMap,
    setting: Setting,
    total: Expression,
    *,
    symbol: str | None = None,
    purpose: str | None = None,
    before: tuple[Told, ...] = (),
    weights: tuple[Weight, ...] = (),
    vectors: tuple[tuple[str, str], ...] = (),
) -> GatePart:
    """The part about a gate whose sum is told here."""
    symbol = symbol or activation(gate)
    pre = before_squash(gate)
    return GatePart(
        gate=gate,
        symbol=symbol,
        purpose=purpose or PURPOSES.get(gate.name, ""),
        pre=Told(pre, total),
        value=Told(symbol, value_of(gate, setting, Name(pre))),
        shown=Told(symbol, value_of(gate, setting, total)),
        before=before,
        weights=weights,
        vectors=vectors,
    )


def summed(terms: Sequence[Expression]) -> Expression:
    """The sum of one or more."""
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def held(
    setting: Setting, state: str, left: str, right: Expression, old: Expression
) -> tuple[Told, ...]:
    """`left = right`, after which zoneout may hold some of the old state.

    Args:
        state: "cell" or "hidden".
    """
    if state not in setting.held:
        return (Told(left, right),)
    new, k = left.replace("_t", "'_t"), Name(f"k_{state[0]}")
    stays = Product((k, old))
    return Told(new, right), Told(left, Sum((stays, Product((Less(ONE, k), Name(new))))))


def seen(setting: Setting, letter: str) -> Name:
    """What is shown of a cell state: what zoneout holds, it holds for the next step."""
    return Name(f"{letter}'_t" if "cell" in setting.held else f"{letter}_t")


def _factors(expression: Expression) -> tuple[Expression, ...]:
    return expression.parts if isinstance(expression, Product) else (expression,)
