"""GRUs and simple recurrent networks as published.

z says how much of the state stays, as in PyTorch; in MUT1 to MUT3 how much is written, as there.
"""

from collections.abc import Callable

import numpy as np
from tests.cells.published_terms import Array, Step, Terms, norm, positive, relu, sigmoid


def gated(t: Terms, r_pre: Array, z_pre: Array) -> Step:
    """r and z of what goes into them."""
    r, z = t.drawn("r", sigmoid(r_pre)), t.drawn("z", sigmoid(z_pre))
    return {"r_pre": r_pre, "r": r, "z_pre": z_pre, "z": z}


def gru(t: Terms) -> Step:
    """PyTorch's: the reset gate after the product (Cho et al. 2014 as cuDNN runs it)."""
    step = gated(t, t.both("r"), t.both("z"))
    q = t.from_h("n")
    n_pre = t.from_x("n") + step["r"] * q
    n, z = np.tanh(n_pre), step["z"]
    return step | {"q": q, "n_pre": n_pre, "n": n, "h": (1 - z) * n + z * t.before["h"]}


def gru_reset_before(t: Terms) -> Step:
    """Cho et al. 2014, eq. 5-8: the reset gate before the product."""
    step = gated(t, t.both("r"), t.both("z"))
    q = t.from_h("n", t.read(step["r"] * t.before["h"]))
    n_pre = t.from_x("n") + q
    n, z = np.tanh(n_pre), step["z"]
    return step | {"q": q, "n_pre": n_pre, "n": n, "h": (1 - z) * n + z * t.before["h"]}


def layer_norm_gru(t: Terms) -> Step:
    """Ba et al. 2016, supplementary: r and z are normalised together, n's two terms alone."""
    H = t.before["h"].shape[-1]
    a_x, a_h = t.w["a"]
    rz_x = a_x[: 2 * H] * norm(np.concatenate([t.W("r"), t.W("z")], -1))
    rz_h = a_h[: 2 * H] * norm(np.concatenate([t.U("r"), t.U("z")], -1))
    r_pre = rz_x[:, :H] + t.bias("b_x", "r") + rz_h[:, :H] + t.bias("b_h", "r")
    z_pre = rz_x[:, H:] + t.bias("b_x", "z") + rz_h[:, H:] + t.bias("b_h", "z")
    step = gated(t, r_pre, z_pre)
    q = a_h[2 * H :] * norm(t.U("n")) + t.bias("b_h", "n")
    n_pre = a_x[2 * H :] * norm(t.W("n")) + t.bias("b_x", "n") + step["r"] * q
    n, z = np.tanh(n_pre), step["z"]
    return step | {"q": q, "n_pre": n_pre, "n": n, "h": (1 - z) * n + z * t.before["h"]}


def min_gru(t: Terms) -> Step:
    """Feng et al. 2024, section 3.1 and appendix B: nothing but the state reads the state."""
    z_pre, n_pre = t.from_x("z"), t.from_x("n")
    z, n = t.drawn("z", sigmoid(z_pre)), positive(n_pre)
    h = z * t.before["h"] + (1 - z) * n
    return {"z_pre": z_pre, "z": z, "n_pre": n_pre, "n": n, "h": h}


def mutated(t: Terms, r_pre: Array, z_pre: Array, n_x: Array) -> Step:
    """What MUT1 to MUT3 share (Jozefowicz et al. 2015, section 3.4)."""
    step = gated(t, r_pre, z_pre)
    q = t.from_h("n", t.read(step["r"] * t.before["h"]))
    n_pre = q + n_x
    n, z = np.tanh(n_pre), step["z"]
    return step | {"q": q, "n_pre": n_pre, "n": n, "h": n * z + t.before["h"] * (1 - z)}


def mut1(t: Terms) -> Step:
    return mutated(t, t.both("r"), t.from_x("z"), np.tanh(t.x))


def mut2(t: Terms) -> Step:
    return mutated(t, t.x + t.from_h("r"), t.both("z"), t.from_x("n"))


def mut3(t: Terms) -> Step:
    z_pre = t.from_x("z") + t.from_h("z", t.read(np.tanh(t.before["h"])))
    return mutated(t, t.both("r"), z_pre, t.from_x("n"))


def rnn(t: Terms, *, squash: Callable[[Array], Array] = np.tanh) -> Step:
    """Elman 1990."""
    h_pre = t.both("h")
    return {"h_pre": h_pre, "h": squash(h_pre)}


def indrnn(t: Terms) -> Step:
    """Li et al. 2018, eq. 2: a unit reads its own past alone, by one weight."""
    h_pre = t.from_x("h") + t.peephole("h", t.h_read)
    return {"h_pre": h_pre, "h": relu(h_pre)}
