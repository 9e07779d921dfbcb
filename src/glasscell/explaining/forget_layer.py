"""The example `forget-layer`: a forget gate small enough to be worked out on paper.

Every number is computed here by the cell's own step; none is written into a sentence.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glasscell.cells import LSTM, Step, Weights
from glasscell.explaining.carousel import slopes
from glasscell.explaining.document import Explanation
from glasscell.explaining.numerals import column, matrix, number, number_latex
from glasscell.explaining.pieces import (
    Check,
    Equation,
    Heading,
    Matrix,
    Piece,
    Prose,
    Table,
    Vector,
)

X, H_BEFORE = [4.0, 5.0, 6.0], [1.0, 2.0, 3.0]
W_F = [[1.0, 2, 3, 4, 5, 6], [5.0, 6, 7, 8, 9, 10], [3.0, 4, 5, 6, 7, 8]]
B_F = [1.0, 2.0, 3.0]
W_I = [[1.0] * 6, [2.0] * 6, [3.0] * 6]
B_I = [1.0, 1.0, 1.0]
OFTEN_TOLD = [22.0, 42.0, 62.0]  # what a much-read answer gives for W_i [h, x] + b_i
SHARES, MEMORY = [0.5, 0.8, 0.9], [4.0, -2.0, 10.0]
DRAWS, SEED = 10_000, 0


def forget_layer() -> Explanation:
    """The forget gate and the input gate of three units by hand, and what a gate does."""
    step = _step()
    return Explanation(
        "The forget layer, by hand",
        [*_inputs(), *_forget_gate(step), *_input_gate(step), *_shares(), *_sizes(), *slopes()],
    )


def _step() -> Step:
    """The step with these two gates; the candidate and the output gate have weights of zero."""
    return _lstm_step(X, H_BEFORE, [0.0] * 3, {"i": (W_I, B_I), "f": (W_F, B_F)})


def _lstm_step(
    x: Sequence[float],
    h: Sequence[float],
    c: Sequence[float],
    gates: dict[str, tuple[list[list[float]], list[float]]],
) -> Step:
    """One step of an LSTM from each gate's wide matrix, which multiplies [h, x], and bias."""
    cell, P, I = LSTM(), len(h), len(x)
    H = len(c)
    none = [[0.0] * (P + I)] * H, [0.0] * H
    given = [gates.get(gate.letter, none) for gate in cell.gates]
    wide = torch.tensor([each[0] for each in given], dtype=torch.float64).flatten(0, 1)
    bias = torch.tensor([each[1] for each in given], dtype=torch.float64).flatten()
    weights = Weights(W=wide[:, P:], U=wide[:, :P], b_x=bias)
    return cell.step(_row(x), _row(h), _row(c), weights)


def _row(values: Sequence[float]) -> Tensor:
    return torch.tensor([list(values)], dtype=torch.float64)


def _inputs() -> list[Piece]:
    return [
        Prose(
            "A forget gate with three units, so small that all of it can be worked out on paper. "
            "It reads the input of this step and the hidden state of the step before."
        ),
        Vector("x_t", X, meaning="the input"),
        Vector("h_{t-1}", H_BEFORE, meaning="the hidden state of the step before"),
        Prose("Put one behind the other they are one vector, and that is all the brackets mean."),
        Vector(
            "[h_{t-1}, x_t]",
            H_BEFORE + X,
            meaning=f"{len(H_BEFORE)} hidden values, then {len(X)} inputs",
        ),
    ]


def _gate(step: Step, letter: str) -> tuple[np.ndarray, np.ndarray]:
    """A gate's pre-activation and its value."""
    k = [gate.letter for gate in LSTM().gates].index(letter)
    return step.pre[0, k].numpy(), step.gates[0, k].numpy()


def _by_hand(weights: Sequence[float]) -> str:
    terms = zip(weights, H_BEFORE + X, strict=True)
    return " + ".join(f"{number_latex(w)} \\cdot {number_latex(v)}" for w, v in terms)


def _forget_gate(step: Step) -> list[Piece]:
    wide, bias, v = np.array(W_F), np.array(B_F), np.array(H_BEFORE + X)
    pre, f = _gate(step, "f")
    products = pre - bias
    P = len(H_BEFORE)
    from_h, from_x = wide[:, :P] @ v[:P], wide[:, P:] @ v[P:]
    rest = torch.sigmoid(-torch.from_numpy(pre)).numpy()  # 1 - f, without its rounding to 0
    least = float(rest.max())
    return [
        Heading("The forget gate"),
        Equation("f_t = \\sigma(W_f [h_{t-1}, x_t] + b_f)"),
        Matrix("W_f", wide, f"{len(wide)} units out, {len(v)} = {P} + {len(X)} values in"),
        Vector("b_f", bias, meaning="a bias for each unit"),
        Equation(f"{_by_hand(W_F[0])} = {number_latex(products[0])}", "the first unit's row"),
        Equation(f"W_f [h_{{t-1}}, x_t] = {matrix(wide)} {column(v)} = {column(products)}"),
        Equation(
            f"f_t^{{\\mathrm{{pre}}}} = {column(products)} + {column(bias)} = {column(pre)}",
            "with the bias",
        ),
        Equation(f"f_t = \\sigma({column(pre)}) = {column(f)}"),
        Prose(
            f"Numbers as large as these leave the sigmoid nothing to decide. What is missing to 1 "
            f"is at most {number(least)}, so every unit keeps practically all of its memory: the "
            "gate is saturated. Trained weights are small, and their gates lie between."
        ),
        Heading("One matrix or two", 3),
        Prose(
            "Glasscell, like PyTorch, keeps two matrices for each gate. They are the parts of the "
            f"wide one: its first {P} columns meet $h_{{t-1}}$ and are called $U_f$, its last "
            f"{len(X)} meet $x_t$ and are called $W_f$ there."
        ),
        Equation(
            f"U_f h_{{t-1}} + W_f x_t = {matrix(wide[:, :P])} {column(v[:P])} + "
            f"{matrix(wide[:, P:])} {column(v[P:])} = {column(from_h)} + {column(from_x)} = "
            f"{column(from_h + from_x)}"
        ),
        Check("the two products add up to the one", bool((from_h + from_x == products).all())),
        Check(
            f"$W_f$ is {wide.shape}: as many columns as $[h_{{t-1}}, x_t]$ has entries, {len(v)}: "
            "fits",
            wide.shape[1] == len(v),
        ),
        Check(
            f"$f_t$ is {f.shape}: one value for each of the {len(wide)} units: fits",
            f.shape == (len(wide),),
        ),
    ]


def _input_gate(step: Step) -> list[Piece]:
    wide, bias, v = np.array(W_I), np.array(B_I), np.array(H_BEFORE + X)
    pre, i = _gate(step, "i")
    total = float(v.sum())
    told, products = np.array(OFTEN_TOLD), pre - bias
    ways = {
        "as the equation has it: times the row, then the bias": pre,
        "the bias left out": products,
        "the bias added before the row multiplies": wide[:, 0] * (total + bias),
        "an answer that is often read": told,
    }
    scale = wide[:, 0]
    sums = "; ".join(
        f"{number(w)} · {number(total)} + {number(b)} = {number(p)}"
        for w, b, p in zip(scale, bias, pre, strict=True)
    )
    return [
        Heading("The input gate"),
        Prose(
            "The input gate is made in the same way with weights of its own. Here its rows are all "
            f"ones, all twos and all threes, and the entries of $[h_{{t-1}}, x_t]$ sum to "
            f"{number(total)}: {sums}."
        ),
        Equation("i_t = \\sigma(W_i [h_{t-1}, x_t] + b_i)"),
        Matrix("W_i", wide, f"{len(wide)} units out, {len(v)} values in"),
        Equation(
            f"i_t^{{\\mathrm{{pre}}}} = {matrix(wide)} {column(v)} + {column(bias)} = "
            f"{column(products)} + {column(bias)} = {column(pre)}"
        ),
        Equation(f"i_t = \\sigma({column(pre)}) = {column(i)}"),
        Prose(
            f"A well-known answer on the web gives {_listed(told)} for these numbers. The first "
            f"is right, the others are not: {_wrong(scale, total, bias, pre, told)}. Neither "
            f"slip with the bias explains it: with a bias of {_listed(bias)} added before the row "
            f"multiplies it would be {_listed(scale * (total + bias))}, without any "
            f"{_listed(products)}. To get {_listed(told)} from these weights the bias would have "
            f"to be {_listed(told - products)}."
        ),
        Table(
            ["computed how", *(f"unit {u}" for u in range(len(pre)))],
            [[how, *map(number, values)] for how, values in ways.items()],
            "l" + "r" * len(pre),
        ),
    ]


def _wrong(
    scale: np.ndarray, total: float, bias: np.ndarray, pre: np.ndarray, told: np.ndarray
) -> str:
    return ", ".join(
        f"{number(w)} · {number(total)} + {number(b)} = {number(p)} and not {number(t)}"
        for w, b, p, t in zip(scale, bias, pre, told, strict=True)
        if p != t
    )


def _listed(values: np.ndarray) -> str:
    return f"({', '.join(map(number, values))})"


def _shares() -> list[Piece]:
    """The gate as a proportion, and as the odds of a stochastic one."""
    c = np.array(MEMORY)
    bias = [math.log(f / (1 - f)) for f in SHARES]
    step = _lstm_step([0.0], [0.0] * 3, MEMORY, {"f": ([[0.0] * 4] * 3, bias)})
    f = step.gates[0, 1]
    assert step.c is not None
    kept = step.c[0].numpy()  # the candidate is 0: nothing is added
    draws = torch.bernoulli(
        f.expand(DRAWS, -1), generator=torch.Generator().manual_seed(SEED)
    ).numpy()
    first, mean = draws[0] * c, (draws * c).mean(0)
    error = np.abs(c) * np.sqrt(f.numpy() * (1 - f.numpy()) / DRAWS)
    rows = [
        [str(u), *(number(float(v[u])) for v in (c, f, kept, first, mean))] for u in range(len(c))
    ]
    return [
        Heading("What a gate between 0 and 1 does"),
        Prose(
            f"A forget gate of {_listed(f.numpy())} is what biases of {_listed(np.array(bias))} "
            "make of the sigmoid where nothing else comes in. Read as **proportions**, each unit "
            "keeps this share of its memory, at every step and without chance:"
        ),
        Equation(f"f_t \\odot c_{{t-1}} = {column(f.numpy())} \\odot {column(c)} = {column(kept)}"),
        Prose(
            "Read as the **odds** of a stochastic gate, each unit keeps all of its memory with "
            "this probability, and else loses all of it. A single draw is all or nothing; the "
            "expectation is the same, since $f \\cdot c + (1 - f) \\cdot 0 = f \\cdot c$. An LSTM "
            "does the first: it computes the expectation, which has a slope to learn by."
        ),
        Table(
            ["unit", "$c_{t-1}$", "$f_t$", "proportion", "one draw", f"mean of {DRAWS:,} draws"],
            rows,
            "rrrrrr",
            f"The draws are of seed {SEED}.",
        ),
        Check(
            "the mean of the draws is the proportion, within four standard errors, "
            f"{_listed(4 * error)}",
            bool((np.abs(mean - kept) <= 4 * error).all()),
        ),
    ]


def _sizes() -> list[Piece]:
    step = _step()
    assert step.c is not None
    H = step.c.shape[1]
    return [
        Heading("Why the cell state and the hidden state have the same size"),
        Equation("h_t = o_t \\odot \\tanh(c_t)"),
        Prose(
            "The output gate has one value for each unit, and $\\odot$ multiplies entry by entry, "
            "so what comes out has as many entries as the cell state: one cell, one output, for "
            "each unit. Only a projection, a matrix after this product, makes the hidden state "
            "smaller."
        ),
        Check(
            f"$c_t$ is {tuple(step.c[0].shape)} and $h_t$ is {tuple(step.h[0].shape)}: {H} units",
            step.c.shape == step.h.shape,
        ),
    ]
