"""LSTMs as published: the family of Greff et al. 2017, and cells that differ further."""

from collections.abc import Callable

import numpy as np
from tests.cells.published_terms import (
    Array,
    Step,
    Terms,
    log_sigmoid,
    norm,
    positive,
    sigmoid,
)

Squash = Callable[[Array], Array]


def lstm(
    t: Terms,
    *,
    without: str = "",
    coupled: bool = False,
    gates_to_gates: bool = False,
    gate_squash: Squash = sigmoid,
    candidate_squash: Squash = np.tanh,
    output_squash: Squash = np.tanh,
) -> Step:
    """Hochreiter & Schmidhuber 1997; Gers et al. 2000, 2002 (peepholes); Greff et al. 2017.

    Args:
        without: letters of gates that are 1 always.
        coupled: the forget gate is 1 - i (CIFG).
        gates_to_gates: R reads the gates i, f, o of the step before (FGR).
    """
    c_prev = t.before["c"]
    step: Step = {}

    def gate(letter: str, peeked: Array) -> Array | float:
        if letter in without:
            return 1.0
        pre = t.both(letter) + t.peephole(letter, peeked)
        if gates_to_gates:
            pre = pre + between_gates(t, letter)
        step[f"{letter}_pre"] = pre
        step[letter] = t.drawn(letter, gate_squash(pre))
        return step[letter]

    i = gate("i", c_prev)
    if coupled:
        step["f"] = 1 - step["i"]
    f = step["f"] if coupled else gate("f", c_prev)
    step["g_pre"] = t.both("g")
    g = step["g"] = candidate_squash(step["g_pre"])
    c = step["c"] = f * c_prev + i * g
    o = gate("o", c)
    h = o * output_squash(c)
    step["h"] = h @ t.w["V"].T if t.w.get("V") is not None else h
    return step


def between_gates(t: Terms, receiver: str) -> Array | float:
    """Greff et al. 2017, appendix, FGR: R_i i_{t-1} + R_f f_{t-1} + R_o o_{t-1} for one gate."""
    R, letters = t.w["R"], "ifo"
    H = R.shape[0] // 3
    k = letters.index(receiver)
    total: Array | float = 0.0
    for j, giver in enumerate(letters):
        if giver in t.before:  # no gate came before the first step: 0
            total = total + t.before[giver] @ R[k * H : (k + 1) * H, j * H : (j + 1) * H].T
    return total


def layer_norm_lstm(t: Terms) -> Step:
    """Ba et al. 2016, eq. 20-22; b_x and b_h hold the sum of their b and the norms' biases."""
    letters, a_x, a_h = t.rows.x, *t.w["a"]
    W_x = norm(np.concatenate([t.W(k) for k in letters], -1))
    U_h = norm(np.concatenate([t.U(k) for k in letters], -1))
    from_x, from_h = (np.split(v, 4, -1) for v in (a_x * W_x, a_h * U_h))
    step: Step = {}
    for letter, v_x, v_h in zip(letters, from_x, from_h, strict=True):
        pre = v_x + t.bias("b_x", letter) + v_h + t.bias("b_h", letter)
        step[f"{letter}_pre"] = pre
        step[letter] = np.tanh(pre) if letter == "g" else t.drawn(letter, sigmoid(pre))
    c = step["c"] = step["f"] * t.before["c"] + step["i"] * step["g"]
    gain, bias = t.w["a_c"]
    step["h"] = step["o"] * np.tanh(gain * norm(c) + bias)
    return step


def janet(t: Terms, beta: float = 1.0) -> Step:
    """van der Westhuizen & Lasenby 2018, eq. 5-7: the forget gate alone, and less written."""
    f_pre, g_pre = t.both("f"), t.both("g")
    f, g = t.drawn("f", sigmoid(f_pre)), np.tanh(g_pre)
    c = f * t.before["c"] + (1 - sigmoid(f_pre - beta)) * g
    return {"f_pre": f_pre, "f": f, "g_pre": g_pre, "g": g, "c": c, "h": c}


def min_lstm(t: Terms) -> Step:
    """Feng et al. 2024, section 3.2 and the positive candidate of appendix B."""
    pre = {k: t.from_x(k) for k in "ifg"}
    i, f, g = sigmoid(pre["i"]), sigmoid(pre["f"]), positive(pre["g"])
    written, kept = i / (f + i), f / (f + i)
    c = kept * t.before["c"] + written * g
    step = {f"{k}_pre": v for k, v in pre.items()}
    return step | {"i": i, "f": f, "g": g, "written": written, "kept": kept, "c": c, "h": c}


def slstm(t: Terms, *, exponential_forget: bool = False) -> Step:
    """Beck et al. 2024, eq. 8-17: gates that may exceed 1, kept in range by m.

    `i` and `f` are the gates themselves, which may be huge; `written` and `kept` the stabilised
    ones, i' and f', that c and n are made with. From m = 0 a first i_pre far below 0 leaves 0 / 0,
    from m = -inf never: then n >= 1.

    Zoneout holds what is stored, c exp(m) and n exp(m), and exp(m) too.
    """
    pre = {k: t.both(k) for k in "ifgo"}
    log_f = pre["f"] if exponential_forget else log_sigmoid(pre["f"])
    m = np.maximum(log_f + t.before["m"], pre["i"])
    keep = t.noise.keep_c
    written, kept = np.exp(pre["i"] - m), np.exp(log_f + t.before["m"] - m)
    g, o = np.tanh(pre["g"]), t.drawn("o", sigmoid(pre["o"]))
    c = kept * t.before["c"] + written * g
    n = kept * t.before["n"] + written
    h = o * c / n
    if keep is not None:
        with np.errstate(divide="ignore"):
            old, new = np.log(keep) + t.before["m"], np.log1p(-np.asarray(keep)) + m
        m = np.logaddexp(old, new)
        c = np.exp(old - m) * t.before["c"] + np.exp(new - m) * c
        n = np.exp(old - m) * t.before["n"] + np.exp(new - m) * n
    step = {f"{k}_pre": v for k, v in pre.items()}
    with np.errstate(over="ignore"):
        gates = {"i": np.exp(pre["i"]), "f": np.exp(log_f), "g": g, "o": o}
    return step | gates | {"written": written, "kept": kept, "c": c, "n": n, "m": m, "h": h}
