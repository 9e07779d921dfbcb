r"""A cell's equations as they are shown: every sum and every element-wise product by name.

What a gate is made of follows from its gate map. What a cell makes of its gates is told here once
for each kind, as sums of products of named vectors; the numbers beside them are those of the
cell's own step, and each sum is added up again to see that it tells the truth.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from glasscell.cells import LSTM, Cell, GateMap, Squash, Weights

SQUASH_LATEX = {"sigmoid": "\\sigma", "tanh": "\\tanh"}


@dataclass(frozen=True)
class Sum:
    r"""`left = a \odot b + c`: a sum of element-wise products of named vectors.

    Attributes:
        left: the name of what comes out.
        terms: the factors of each term, by name.
    """

    left: str
    terms: tuple[tuple[str, ...], ...]

    @property
    def latex(self) -> str:
        return f"{self.left} = {self.right}"

    @property
    def right(self) -> str:
        return " + ".join(
            " \\odot ".join(_held(factor, len(term)) for factor in term) for term in self.terms
        )

    def value(self, named: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the right side comes to."""
        products = [np.prod([named[factor] for factor in term], axis=0) for term in self.terms]
        return np.sum(products, axis=0)

    def numeric(self, write: Callable[[np.ndarray], str], named: Mapping[str, np.ndarray]) -> str:
        """The right side with numbers in place of names."""
        return " + ".join(
            " \\odot ".join(write(named[factor]) for factor in term) for term in self.terms
        )


def subscript(cell: Cell, gate: GateMap) -> str:
    """What tells a gate's weights from those of the others: "_f"; nothing for an only gate."""
    return "" if cell.G == 1 else f"_{gate.letter}"


def squash_latex(squash: Squash) -> str:
    return SQUASH_LATEX.get(squash.name, f"\\mathrm{{{squash.name}}}")


def activation(gate: GateMap) -> str:
    """A gate's letter with its step: "f_t"."""
    return f"{gate.letter}_t"


def before_squash(gate: GateMap) -> str:
    """What goes into its squash: "f_t^{pre}"."""
    return f"{gate.letter}_t^{{\\mathrm{{pre}}}}"


def gate_sums(cell: Cell, gate: GateMap, w: Weights | None) -> tuple[Sum, ...]:
    """The sums that lead to a gate's pre-activation, the last of which is that."""
    k = subscript(cell, gate)
    has_bias = w is None or w.b_x is not None or w.b_h is not None
    special = GATE_SUMS.get((cell.kind, gate.name))
    if special is not None:
        return special(gate, has_bias)
    terms: list[tuple[str, ...]] = []
    if "x" in gate.reads:
        terms.append((f"W{k} x_t",))
    if "h" in gate.reads:
        terms.append((f"U{k} h_{{t-1}}",))
    if gate.peephole:
        terms.append((f"p{k}", "c_t" if gate.peephole == "c" else "c_{t-1}"))
    if has_bias:
        terms.append((f"b{k}",))
    return (Sum(before_squash(gate), tuple(terms)),)


def _gru_candidate(gate: GateMap, has_bias: bool) -> tuple[Sum, ...]:
    past: tuple[tuple[str, ...], ...] = (("U_n h_{t-1}",), ("b'_n",))
    now: tuple[tuple[str, ...], ...] = (("W_n x_t",), ("b_n",), ("r_t", "q_t"))
    if not has_bias:
        past, now = past[:1], (now[0], now[2])
    return Sum("q_t", past), Sum(before_squash(gate), now)


# Gates whose sum is more than their gate map says.
GATE_SUMS: dict[tuple[str, str], Callable[[GateMap, bool], tuple[Sum, ...]]] = {
    ("gru", "candidate"): _gru_candidate,
}

# What the gates do to the states, by kind of cell.
STATE_SUMS: dict[str, tuple[Sum, ...]] = {
    "lstm": (Sum("c_t", (("f_t", "c_{t-1}"), ("i_t", "g_t"))),),
    "gru": (Sum("h_t", (("z_t", "h_{t-1}"), ("1 - z_t", "n_t"))),),
    "rnn": (),
}


def state_sums(cell: Cell) -> tuple[Sum, ...]:
    """How the state that carries the memory comes about; nothing where a gate is that state."""
    if cell.kind in STATE_SUMS:
        return STATE_SUMS[cell.kind]
    if cell.keeping_gate is None:
        return ()
    state = "c" if cell.has_cell_state else "h"
    keep = activation(cell.keeping_gate)
    return (Sum(f"{state}_t", ((keep, f"{state}_{{t-1}}"), ("\\text{write}",))),)


def output_sum(cell: Cell, projected: bool) -> Sum | None:
    """How the hidden state comes from the cell state, before any projection."""
    if not isinstance(cell, LSTM):
        return None
    left = "m_t" if projected else "h_t"
    return Sum(left, ((activation(cell.output_gate), shown_cell(cell)),))


def shown_cell(cell: LSTM) -> str:
    """What of the cell state the output gate gets: "\\tanh(c_t)"."""
    return f"{squash_latex(cell.output_squash)}(c_t)"


def _held(factor: str, factors: int) -> str:
    return f"({factor})" if factors > 1 and " - " in factor else factor
