"""Every variant of a cell once more, as its paper writes it, in NumPy and float64: an oracle.

Nothing here comes from the package. `step` is one step, `run` a loop over them; a step is a
dictionary of all that has a name: `i_pre` goes into gate `i`, and so on by the letters of the
gates; `c` and `h` are the states (`n` and `m` too, in an sLSTM), `q` is what of h_{t-1} reaches a
GRU's candidate. Where the gates that act are not the squashed ones, `kept` and `written` are.

Weights are a dictionary of W, U, b_x, b_h, V, p, R, a and a_c, those that there are. W and b_x
have H rows for each gate that reads x, U and b_h for each that multiplies h_{t-1} by a matrix, p
one for each peephole; `VARIANTS` says which, and `shapes` gives the sizes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from tests.cells.published_gru import (
    gru,
    gru_reset_before,
    indrnn,
    layer_norm_gru,
    min_gru,
    mut1,
    mut2,
    mut3,
    rnn,
)
from tests.cells.published_lstm import janet, layer_norm_lstm, lstm, min_lstm, slstm
from tests.cells.published_terms import (
    Array,
    Noise,
    Rows,
    Step,
    Terms,
    hard_sigmoid,
    hard_tanh,
    identity,
    relu,
)

QUIET = Noise()


@dataclass(frozen=True)
class Variant:
    """A cell of the literature.

    Attributes:
        gates: the letters of its gates, in order.
        rows: which of them have weights of which kind.
        equations: one step.
        states: the letters of what is carried from step to step.
        gains: rows of `a` and `a_c` in units of H; empty without normalisation.
    """

    gates: str
    rows: Rows
    equations: Callable[[Terms], Step]
    states: str = "h"
    gains: Mapping[str, int] = field(default_factory=dict)
    gates_to_gates: bool = False

    def shapes(self, I: int, H: int, P: int | None = None) -> dict[str, tuple[int, ...]]:
        """The sizes of its weights, with both biases, and V if P is given."""
        x, h, p = (H * len(letters) for letters in (self.rows.x, self.rows.h, self.rows.p))
        shapes: dict[str, tuple[int, ...]] = {"W": (x, I), "U": (h, P or H), "b_x": (x,)}
        if h:
            shapes["b_h"] = (h,)
        if P:
            shapes["V"] = (P, H)
        if p:
            shapes["p"] = (p // H, H)
        if self.gates_to_gates:
            shapes["R"] = (3 * H, 3 * H)
        return shapes | {name: (2, rows * H) for name, rows in self.gains.items()}


def lstm_without(missing: str = "", peepholes: str = "", **how) -> Variant:
    """An LSTM that lacks gates (they are 1), with the peepholes of those left that are named."""
    gates = "".join(k for k in "ifgo" if k not in missing)
    if how.get("coupled"):
        gates = gates.replace("f", "")
    rows = Rows(gates, gates, "".join(k for k in peepholes if k in gates))
    equations = partial(lstm, without=missing, **how)
    return Variant(gates, rows, equations, "hc", gates_to_gates="gates_to_gates" in how)


PLAIN, PEEPHOLE = lstm_without(), lstm_without(peepholes="ifo")
RZN = Rows("rzn", "rzn")

VARIANTS: dict[str, Variant] = {
    "lstm": PLAIN,
    "np": PLAIN,
    "peephole": PEEPHOLE,
    "vanilla": PEEPHOLE,
    "coupled": lstm_without(coupled=True),
    "no_input_gate": lstm_without("i"),
    "no_forget_gate": lstm_without("f"),
    "no_output_gate": lstm_without("o"),
    "no_input_activation": lstm_without(candidate_squash=identity),
    "no_output_activation": lstm_without(output_squash=identity),
    "nig": lstm_without("i", "ifo"),
    "nfg": lstm_without("f", "ifo"),
    "nog": lstm_without("o", "ifo"),
    "niaf": lstm_without("", "ifo", candidate_squash=identity),
    "noaf": lstm_without("", "ifo", output_squash=identity),
    "cifg": lstm_without("", "ifo", coupled=True),
    "fgr": lstm_without("", "ifo", gates_to_gates=True),
    "hard_lstm": lstm_without(
        gate_squash=hard_sigmoid, candidate_squash=hard_tanh, output_squash=hard_tanh
    ),
    "layer_norm_lstm": Variant(
        "ifgo", Rows("ifgo", "ifgo"), layer_norm_lstm, "hc", {"a": 4, "a_c": 1}
    ),
    "janet": Variant("fg", Rows("fg", "fg"), janet, "hc"),
    "slstm": Variant("ifgo", Rows("ifgo", "ifgo"), slstm, "hcnm"),
    "min_lstm": Variant("ifg", Rows("ifg", ""), min_lstm, "hc"),
    "gru": Variant("rzn", RZN, gru),
    "gru_reset_before": Variant("rzn", RZN, gru_reset_before),
    "layer_norm_gru": Variant("rzn", RZN, layer_norm_gru, gains={"a": 3}),
    "mut1": Variant("rzn", Rows("rz", "rn"), mut1),
    "mut2": Variant("rzn", Rows("zn", "rzn"), mut2),
    "mut3": Variant("rzn", RZN, mut3),
    "min_gru": Variant("zn", Rows("zn", ""), min_gru),
    "rnn": Variant("h", Rows("h", "h"), rnn),
    "relu_rnn": Variant("h", Rows("h", "h"), partial(rnn, squash=relu)),
    "indrnn": Variant("h", Rows("h", "", "h"), indrnn),
}


def step(
    cell: str | Variant,
    x: Array,
    before: Mapping[str, Array],
    w: Mapping[str, Array],
    noise: Noise = QUIET,
) -> Step:
    """One step of a variant.

    Args:
        cell: a name of `VARIANTS`, or a variant such as `lstm_without("f", peepholes="o")`.
        x: (B, I), in float64.
        before: the states by their letters, each (B, H), h (B, P); for `fgr` also the gates i, f
            and o of the step before, zeros where they are not given.
        noise: zoneout (Krueger et al. 2017), stochastic gates, and the mask of variational
            recurrent dropout (Gal & Ghahramani 2016).
    """
    variant = VARIANTS[cell] if isinstance(cell, str) else cell
    done = dict(variant.equations(Terms(x, before, w, variant.rows, noise)))
    for letter in noise.uniform:
        assert np.isin(done[letter], (0, 1)).all(), f"{cell}: no stochastic {letter}"
    # an sLSTM's equations hold c themselves, in a scale that both c fit in
    keep_c = None if "m" in variant.states else noise.keep_c
    for letter, keep in (("c", keep_c), ("h", noise.keep_h)):
        if keep is not None:  # the new h is of the new c, not of what zoneout leaves of it
            done[letter] = keep * before[letter] + (1 - keep) * done[letter]
    return done


def run(
    cell: str | Variant,
    x: Array,
    initial: Mapping[str, Array],
    w: Mapping[str, Array],
    noise: Noise | Sequence[Noise] = QUIET,
) -> Step:
    """A loop over the T steps of x (T, B, I): every quantity, stacked, (T, B, ...)."""
    before, steps = dict(initial), []
    for s, x_t in enumerate(x):
        before = step(cell, x_t, before, w, noise if isinstance(noise, Noise) else noise[s])
        steps.append(before)
    return {name: np.stack([done[name] for done in steps]) for name in steps[0]}


def zeros(cell: str | Variant, B: int, H: int, P: int | None = None) -> dict[str, Array]:
    """The states before a first step."""
    variant = VARIANTS[cell] if isinstance(cell, str) else cell
    return {k: np.zeros((B, (P or H) if k == "h" else H)) for k in variant.states}


def drawn(
    cell: str | Variant, I: int, H: int, generator: np.random.Generator, P: int | None = None
) -> dict[str, Array]:
    """Random weights of the right shapes."""
    variant = VARIANTS[cell] if isinstance(cell, str) else cell
    shapes = variant.shapes(I, H, P)
    return {name: generator.uniform(-1, 1, shape) for name, shape in shapes.items()}
