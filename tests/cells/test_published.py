"""The published equations in NumPy against layers that others wrote: torch.nn's and ONNX's.

What no library has is turned into something that one has: a gate that is missing is one whose bias
is huge, 1 - sigmoid(v) is sigmoid(-v), a term that is added is one more input.
"""

import numpy as np
import pytest
import torch
from tests.cells import published
from tests.cells.others import RUNTIME, onnx_layer
from tests.cells.published import VARIANTS, lstm_without
from tests.cells.published_setting import H, I, close, setting, tensor

OPEN = 1e3  # sigmoid of it is 1


def spread(rows, letters, among, H=H, fill=0.0):
    """Rows of some gates laid among those of all, the rest filled."""
    full = np.full((len(among) * H, *rows.shape[1:]), fill)
    for k, letter in enumerate(letters):
        at = among.index(letter) * H
        full[at : at + H] = rows[k * H : (k + 1) * H]
    return full


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("name", "theirs", "P"),
    [
        ("lstm", lambda bias: torch.nn.LSTM(I, H, bias=bias), None),
        ("lstm", lambda bias: torch.nn.LSTM(I, H, bias=bias, proj_size=2), 2),
        ("gru", lambda bias: torch.nn.GRU(I, H, bias=bias), None),
        ("rnn", lambda bias: torch.nn.RNN(I, H, bias=bias), None),
        ("relu_rnn", lambda bias: torch.nn.RNN(I, H, bias=bias, nonlinearity="relu"), None),
    ],
    ids=["lstm", "projected", "gru", "rnn", "relu_rnn"],
)
def test_plain_cells_are_pytorchs(name, theirs, P, bias):
    x, before, w = setting(name, P=P)
    layer = theirs(bias).double()
    names = {"weight_ih_l0": "W", "weight_hh_l0": "U", "bias_ih_l0": "b_x", "bias_hh_l0": "b_h"}
    names["weight_hr_l0"] = "V"
    w = {k: a for k, a in w.items() if bias or not k.startswith("b")}
    layer.load_state_dict({theirs: tensor(w[names[theirs]]) for theirs in layer.state_dict()})
    states = [tensor(before[k])[None] for k in VARIANTS[name].states]
    with torch.no_grad():
        output, last = layer(tensor(x), tuple(states) if len(states) > 1 else states[0])
    found = published.run(name, x, before, w)
    close(found["h"], output)
    if len(states) > 1:
        close(found["c"][-1], last[1][0])


def as_onnx(variant, w):
    """A sigmoid LSTM's weights as ONNX's, which has every gate: what is missing stands open."""
    letters, H = variant.rows.x, w["U"].shape[1]
    full = {name: spread(w[name], letters, "ifgo", H) for name in ("W", "U", "b_x", "b_h")}
    missing = [k for k in "ifo" if k not in letters]
    for k in missing:
        full["b_x"]["ifgo".index(k) * H :][:H] = OPEN
    full["p"] = spread(w.get("p", np.zeros((0, H))), variant.rows.p, "ifo", 1)
    return full


@pytest.mark.parametrize("peepholes", ["", "i", "f", "o", "if", "io", "fo", "ifo"])
@pytest.mark.parametrize("without", ["", "i", "f", "o", "if", "fo"])
def test_peepholes_and_missing_gates(without, peepholes):
    variant = lstm_without(without, peepholes)
    x, before, w = setting(variant)
    expected = onnx_layer("LSTM", x, before, as_onnx(variant, w))
    close(published.run(variant, x, before, w)["h"], expected)


@pytest.mark.parametrize("name", ["coupled", "cifg"])
def test_coupled_gates(name):
    """1 - sigmoid(v) = sigmoid(-v): the forget gate has the input gate's weights, negated."""
    x, before, w = setting(name)
    full = as_onnx(VARIANTS[name], w)
    for weights in (full["W"], full["U"], full["b_x"], full["b_h"]):
        weights[H : 2 * H] = -weights[:H]
    full["p"][1] = -full["p"][0]
    close(published.run(name, x, before, w)["h"], onnx_layer("LSTM", x, before, full))


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("lstm", {}),
        ("peephole", {}),
        ("coupled", {"input_forget": 1}),
        ("cifg", {"input_forget": 1}),
        ("no_input_activation", {"activations": ["Sigmoid", "Affine", "Tanh"]}),
        ("no_output_activation", {"activations": ["Sigmoid", "Tanh", "Affine"]}),
        ("niaf", {"activations": ["Sigmoid", "Affine", "Tanh"]}),
        ("noaf", {"activations": ["Sigmoid", "Tanh", "Affine"]}),
    ],
)
def test_onnx_runtime_agrees(name, attributes):
    pytest.importorskip("onnxruntime")
    if "Affine" in attributes.get("activations", ()):  # alpha * v + beta
        attributes = attributes | {"activation_alpha": [1.0], "activation_beta": [0.0]}
    x, before, w = setting(name)
    expected = onnx_layer("LSTM", x, before, as_onnx(VARIANTS[name], w), RUNTIME, **attributes)
    close(published.run(name, x, before, w)["h"], expected, 2e-6)


@pytest.mark.parametrize(
    ("name", "linear_before_reset"), [("gru", 1), ("gru_reset_before", 0)], ids=["after", "before"]
)
def test_the_reset_gate_before_or_after_the_product(name, linear_before_reset):
    x, before, w = setting(name)
    expected = onnx_layer("GRU", x, before, w, linear_before_reset=linear_before_reset)
    close(published.run(name, x, before, w)["h"], expected)


@pytest.mark.parametrize("name", ["mut1", "mut2", "mut3"])
def test_mutated_cells_are_grus_with_more_inputs(name):
    """The reset gate before the product; z negated, since theirs says how much is written.

    What the cells add, tanh(x_t) in MUT1, x_t in MUT2 and U tanh(h_{t-1}) in MUT3, is an input
    more, given step by step.
    """
    x, before, w = setting(name, I=H)
    variant = VARIANTS[name]
    W, b_x = (spread(w[k], variant.rows.x, "rzn") for k in ("W", "b_x"))
    U, b_h = (spread(w[k], variant.rows.h, "rzn") for k in ("U", "b_h"))
    r, z, n = (slice(k * H, (k + 1) * H) for k in range(3))
    more = np.zeros((3 * H, H))
    if name == "mut1":
        more[n] = np.eye(H)
    elif name == "mut2":
        more[r] = np.eye(H)
    else:
        more[z], U[z] = U[z], 0
    for weights in (W, U, b_x, b_h, more):
        weights[z] *= -1
    full = {"W": np.hstack([W, more]), "U": U, "b_x": b_x, "b_h": b_h}
    h = before["h"]
    for x_t, found in zip(x, published.run(name, x, before, w)["h"], strict=True):
        added = {"mut1": np.tanh(x_t), "mut2": x_t, "mut3": np.tanh(h)}[name]
        step_input = np.hstack([x_t, added])[None]
        h = onnx_layer("GRU", step_input, {"h": h}, full, linear_before_reset=0)[0]
        close(found, h)


def test_gates_that_read_gates():
    """FGR: gates of the step before are three more inputs of the peephole LSTM."""
    x, before, w = setting("fgr")
    steps = published.run("fgr", x, before, w)
    rows = [slice(k * H, (k + 1) * H) for k in (0, 1, 3)]  # of i, f and o among i f g o
    more = np.zeros((4 * H, 3 * H))
    for k, at in enumerate(rows):
        more[at] = w["R"][k * H : (k + 1) * H]
    full = w | {"W": np.hstack([w["W"], more])}
    gates = np.concatenate([steps[k] for k in "ifo"], -1)
    before_each = np.concatenate([np.zeros_like(gates[:1]), gates[:-1]])
    expected = onnx_layer("LSTM", np.concatenate([x, before_each], -1), before, full)
    close(steps["h"], expected)


def test_only_i_f_and_o_receive_and_give_in_fgr():
    """One weight of R from f to i moves i alone, one step later."""
    x, before, w = setting("fgr", T=2)
    moved = w | {"R": w["R"].copy()}
    moved["R"][:H, H : 2 * H] += 1.0
    one, other = (published.run("fgr", x, before, v) for v in (w, moved))
    assert (one["h"][0] == other["h"][0]).all()
    difference = other["i_pre"][1] - one["i_pre"][1]
    close(difference, np.repeat(one["f"][0].sum(-1, keepdims=True), H, -1))
    assert (one["f_pre"][1] == other["f_pre"][1]).all()
    assert (one["g_pre"][1] == other["g_pre"][1]).all()
