"""The published equations that no library has, against closed forms and torch's own functions."""

import numpy as np
import pytest
import torch
from tests.cells import published
from tests.cells.published import VARIANTS
from tests.cells.published_setting import B, H, I, close, setting, tensor
from tests.cells.published_terms import hard_sigmoid, hard_tanh, norm, positive


def torch_lstm_of(pre, c):
    """h and c of torch's LSTM cell that is given what goes into its gates, (B, 4H)."""
    cell = torch.nn.LSTMCell(4 * H, H, bias=False).double()
    cell.load_state_dict({"weight_ih": torch.eye(4 * H), "weight_hh": torch.zeros(4 * H, H)})
    with torch.no_grad():
        return cell(tensor(pre), (torch.zeros(B, H).double(), tensor(c)))


def test_janet_writes_less_than_it_forgets():
    """1 - sigmoid(s - 1) = sigmoid(1 - s): an LSTM whose h is c."""
    x, before, w = setting("janet")
    h = c = before["h"]
    for x_t, found in zip(x, published.run("janet", x, before | {"c": h}, w)["c"], strict=True):
        s, g_pre = np.split(x_t @ w["W"].T + w["b_x"] + h @ w["U"].T + w["b_h"], 2, -1)
        pre = np.concatenate([1 - s, s, g_pre, np.zeros_like(s)], -1)
        h = c = torch_lstm_of(pre, c)[1].numpy()
        close(found, c)


def test_layer_norm_lstm():
    x, before, w = setting("layer_norm_lstm")
    found = published.run("layer_norm_lstm", x, before, w)
    (a_x, a_h), (gain, bias) = (tensor(w[k]) for k in ("a", "a_c"))
    h, c = before["h"], before["c"]
    for s, x_t in enumerate(x):
        from_x = torch.nn.functional.layer_norm(
            tensor(x_t @ w["W"].T), (4 * H,), a_x, tensor(w["b_x"])
        )
        from_h = torch.nn.functional.layer_norm(
            tensor(h @ w["U"].T), (4 * H,), a_h, tensor(w["b_h"])
        )
        pre = from_x + from_h
        c = torch_lstm_of(pre.numpy(), c)[1]
        close(found["c"][s], c)
        squashed = torch.tanh(torch.nn.functional.layer_norm(c, (H,), gain, bias))
        h, c = (pre[:, 3 * H :].sigmoid() * squashed).numpy(), c.numpy()
        close(found["h"][s], h)


def test_layer_norm_gru():
    """Where a norm's two groups are made normal already, the GRU's own cell says the rest."""
    x, before, w = setting("layer_norm_gru")
    found = published.run("layer_norm_gru", x, before, w)
    theirs = torch.nn.GRUCell(6 * H, H).double()
    h = tensor(before["h"])

    def normal(v, row):
        a = tensor(w["a"][row])
        gates, candidate = v[:, : 2 * H], v[:, 2 * H :]
        gates = torch.nn.functional.layer_norm(gates, (2 * H,), a[: 2 * H])
        return torch.cat(
            [gates, torch.nn.functional.layer_norm(candidate, (H,), a[2 * H :])], dim=-1
        )

    r, z, n_x = torch.eye(3 * H).split(H)
    nothing = torch.zeros(H, 3 * H)
    W = torch.cat([torch.cat([r, r], 1), torch.cat([z, z], 1), torch.cat([n_x, nothing], 1)])
    for s, x_t in enumerate(x):
        terms_x = normal(tensor(x_t @ w["W"].T), 0) + tensor(w["b_x"])
        terms_h = normal(h @ tensor(w["U"]).T, 1) + tensor(w["b_h"])
        # n's term of h comes through the cell's own bias, sequence by sequence
        rows = []
        for b in range(B):
            b_h = torch.cat([torch.zeros(2 * H).double(), terms_h[b, 2 * H :]])
            theirs.load_state_dict(
                {
                    "weight_ih": W,
                    "weight_hh": torch.zeros(3 * H, H),
                    "bias_ih": torch.zeros(3 * H),
                    "bias_hh": b_h,
                }
            )
            with torch.no_grad():
                rows.append(theirs(torch.cat([terms_x[b], terms_h[b]])[None], h[b : b + 1])[0])
        h = torch.stack(rows)
        close(found["h"][s], h)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_norm_is_pytorchs(scale):
    v = scale * np.random.default_rng(0).normal(size=(B, 7))
    close(norm(v), torch.nn.functional.layer_norm(tensor(v), (7,)))


def test_hard_squashes_are_pytorchs():
    v = np.linspace(-5, 5, 1001)
    close(hard_sigmoid(v), torch.nn.Hardsigmoid()(tensor(v)))
    close(hard_tanh(v), torch.nn.Hardtanh()(tensor(v)))


def test_hard_lstm():
    x, before, w = setting("hard_lstm")
    h, c = tensor(before["h"]), tensor(before["c"])
    sigmoid, tanh = torch.nn.Hardsigmoid(), torch.nn.Hardtanh()
    found = published.run("hard_lstm", x, before, w)
    for s, x_t in enumerate(x):
        pre = tensor(x_t @ w["W"].T + w["b_x"] + w["b_h"]) + h @ tensor(w["U"]).T
        i, f, g, o = pre.chunk(4, -1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        close(found["h"][s], h)


def in_log_space(log_keep, log_write, state):
    """Feng et al. 2024, algorithm of appendix B: the whole sequence at once, for a state > 0."""
    log_a = torch.cat([torch.zeros_like(log_keep[:1]), log_keep]).cumsum(0)
    log_values = torch.cat([tensor(np.log(state))[None], log_write])
    return (log_a + torch.logcumsumexp(log_values - log_a, 0)).exp()[1:]


def log_positive(v):
    return torch.where(v >= 0, (v.relu() + 0.5).log(), torch.nn.functional.logsigmoid(v))


def test_min_lstm_is_its_scan():
    x, before, w = setting("min_lstm")
    before = before | {"c": np.abs(before["c"])}
    i_pre, f_pre, g_pre = tensor(x @ w["W"].T + w["b_x"]).chunk(3, -1)
    softplus, logsigmoid = torch.nn.functional.softplus, torch.nn.functional.logsigmoid
    gap = softplus(-f_pre) - softplus(-i_pre)  # log i - log f
    keep, write = -softplus(gap), -softplus(-gap)
    expected = in_log_space(keep, write + log_positive(g_pre), before["c"])
    close(published.run("min_lstm", x, before, w)["h"], expected)
    close(logsigmoid(-gap).numpy(), keep)


def test_min_gru_is_its_scan():
    x, before, w = setting("min_gru")
    before = {"h": np.abs(before["h"])}
    z_pre, n_pre = tensor(x @ w["W"].T + w["b_x"]).chunk(2, -1)
    logsigmoid = torch.nn.functional.logsigmoid
    write = logsigmoid(-z_pre) + log_positive(n_pre)
    expected = in_log_space(logsigmoid(z_pre), write, before["h"])
    close(published.run("min_gru", x, before, w)["h"], expected)


def test_positive_joins_at_zero():
    v = np.array([-1e-12, 0.0, 1e-12, -700.0, 3.0])
    close(positive(v), [0.5, 0.5, 0.5, 0.0, 3.5], 1e-11)


def test_indrnn_is_an_rnn_with_a_diagonal_matrix():
    x, before, w = setting("indrnn")
    layer = torch.nn.RNN(I, H, nonlinearity="relu").double()
    weights = (w["W"], np.diag(w["p"][0]), w["b_x"], np.zeros(H))
    layer.load_state_dict(dict(zip(layer.state_dict(), map(tensor, weights), strict=True)))
    with torch.no_grad():
        output, _ = layer(tensor(x), tensor(before["h"])[None])
    close(published.run("indrnn", x, before, w)["h"], output)


@pytest.mark.parametrize("exponential", [False, True], ids=["sigmoid", "exponential"])
def test_slstm_without_its_stabiliser(exponential):
    """Beck et al. 2024, eq. 8-14: m changes nothing that comes out."""
    x, before, w = setting("slstm")
    variant = published.Variant(
        "ifgo",
        VARIANTS["slstm"].rows,
        lambda t: published.slstm(t, exponential_forget=exponential),
        "hcnm",
    )
    before = published.zeros("slstm", B, H)
    found = published.run(variant, x, before, w)
    c, n, h = (tensor(before[k]) for k in "cnh")
    for s, x_t in enumerate(x):
        pre = tensor(x_t @ w["W"].T + w["b_x"] + w["b_h"]) + h @ tensor(w["U"]).T
        i, f, g, o = pre.chunk(4, -1)
        f = f.exp() if exponential else f.sigmoid()
        c, n = f * c + i.exp() * g.tanh(), f * n + i.exp()
        h = o.sigmoid() * c / n
        close(found["h"][s], h)
        scale = np.exp(found["m"][s])
        close(found["c"][s] * scale, c)
        close(found["n"][s] * scale, n)


def test_slstm_bears_what_overflows():
    x, _, w = setting("slstm")
    before = published.zeros("slstm", B, H) | {"m": np.full((B, H), -np.inf)}
    found = published.run("slstm", 1e3 * x, before, w)
    assert (np.abs(found["i_pre"]) > 1e3).any()
    for name in "chnm":
        assert np.isfinite(found[name]).all()
    assert (np.abs(found["h"]) <= 1).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_biases_may_be_absent(name):
    x, before, w = setting(name, I=H)
    silent = {k: np.zeros_like(a) if k.startswith("b") else a for k, a in w.items()}
    absent = {k: a for k, a in w.items() if not k.startswith("b")}
    before |= {k: np.abs(s) + 1 for k, s in before.items() if k == "n"}
    expected = published.run(name, x, before, silent)
    for quantity, found in published.run(name, x, before, absent).items():
        close(found, expected[quantity])
