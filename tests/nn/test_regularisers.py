"""Zoneout, dropout of the recurrence and of its weights, and stochastic gates, in layers."""

from typing import Any

import pytest
import torch
from tests.engines.subjects import NEEDS_KERNELS
from tests.tolerances import assert_close, assert_same_bits
from torch.utils.checkpoint import checkpoint

import glasscell
from glasscell.errors import InputError

EITHER = [pytest.param("native", marks=NEEDS_KERNELS), "reference"]
T, B, I, H = 30, 5, 4, 64
OPTIONS = {
    "zoneout": {"zoneout": (0.3, 0.2)},
    "recurrent-dropout": {"recurrent_dropout": 0.4},
    "weight-dropout": {"weight_dropout": 0.4},
    "bernoulli": {"stochastic": ("forget", "output")},
    "gumbel": {"stochastic": {"input": "gumbel"}},
}


def layer_of(**options) -> glasscell.LSTM:
    torch.manual_seed(0)
    return glasscell.LSTM(I, H, num_layers=2, bidirectional=True, **options)


def input_of() -> torch.Tensor:
    return torch.randn(T, B, I, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("option", OPTIONS)
def test_runs_are_the_same_by_seed_and_else_differ(option):
    layer, x = layer_of(**OPTIONS[option]), input_of()

    def run(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return layer(x)[0]

    assert_same_bits(run(3), run(3))
    assert not torch.equal(run(3), run(4))
    assert not torch.equal(run(3), layer(x)[0])  # the next run has draws of its own


@pytest.mark.parametrize("option", OPTIONS)
def test_evaluation_leaves_nothing_to_chance(option):
    layer, x = layer_of(**OPTIONS[option]).eval(), input_of()
    assert_same_bits(layer(x)[0], layer(x)[0])
    plain = layer_of().eval()
    plain.load_state_dict(layer.state_dict())
    if option != "zoneout":  # which takes the expectation
        assert_same_bits(layer(x)[0], plain(x)[0])


@pytest.mark.parametrize("option", OPTIONS)
def test_checkpointing_draws_the_same_again(option):
    layer, x = layer_of(**OPTIONS[option]), input_of()
    found = []
    for wrapped in (False, True):
        torch.manual_seed(7)
        output = checkpoint(layer, x, use_reentrant=False)[0] if wrapped else layer(x)[0]
        layer.zero_grad()
        output.square().sum().backward()
        found.append([p.grad.clone() for p in layer.parameters() if p.grad is not None])
    for plain, again in zip(*found, strict=True):
        assert_close(again, plain, kind="gradient")


def test_zoneout_keeps_units_as_they_were_at_the_rate():
    layer = layer_of(zoneout=(0.3, 0.2))
    with glasscell.trace(layer) as trace:
        layer(input_of())
    drawn = {}
    for name in ("l0", "l0_reverse", "l1", "l1_reverse"):
        for state, rate in (("cell", 0.3), ("hidden", 0.2)):
            s = trace[name][state]
            kept = s[1:] == s[:-1]
            drawn[name, state] = kept
            n = kept.numel()
            assert abs(kept.double().mean() - rate) < 5 * (rate * (1 - rate) / n) ** 0.5
    masks = list(drawn.values())
    for k, mask in enumerate(masks):  # each layer, direction and state has draws of its own
        for other in masks[:k]:
            share = (mask == other).double().mean()
            assert 0.5 < share < 0.8


def test_in_evaluation_zoneout_takes_the_expectation():
    torch.manual_seed(0)
    layer = glasscell.LSTM(I, H, zoneout=(0.3, 0.2)).eval()
    plain = glasscell.LSTM(I, H)
    plain.load_state_dict(layer.state_dict())
    x = input_of()
    h = c = torch.zeros(1, B, H)
    for t in range(T):
        _, (h_new, c_new) = plain(x[t : t + 1], (h, c))
        h, c = 0.2 * h + 0.8 * h_new, 0.3 * c + 0.7 * c_new
    assert_close(layer(x)[1][0], h)
    assert_close(layer(x)[1][1], c)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "slstm"])
def test_a_carry_knows_what_is_held(cell, training):
    layer = layer_of(zoneout=(0.3, 0.2), cell=cell).train(training)
    with glasscell.trace(layer) as trace:
        layer(input_of())
    shown = trace["l0"]
    carry = shown.carry(torch.float64)
    assert carry is not None
    keep, write = carry
    c = shown.tokens("cell").double()
    before = shown.layout.packing.previous(c, torch.zeros(B, H).double(), False)
    assert_close(keep * before + write, c, dtype=torch.float32)


def test_stochastic_gates_are_drawn_with_the_odds_they_give():
    torch.manual_seed(0)
    layer = glasscell.LSTM(I, H, stochastic=("forget",))
    x = torch.randn(1, 2000, I)
    with glasscell.trace(layer) as trace:
        layer(x)
    gate, odds = trace["l0"].forget_gate, trace["l0"].pre.forget_gate.sigmoid()
    assert set(gate.unique().tolist()) == {0.0, 1.0}
    n = gate.numel()
    assert abs(gate.mean() - odds.mean()) < 5 * 0.5 / n**0.5
    high, low = odds > odds.median(), odds <= odds.median()
    assert abs(gate[high].mean() - odds[high].mean()) < 5 * 0.5 / (n / 2) ** 0.5
    assert abs(gate[low].mean() - odds[low].mean()) < 5 * 0.5 / (n / 2) ** 0.5
    assert trace["l0"].input_gate.unique().numel() > 1000  # the others are as ever


def repeating(**options: float) -> Any:
    """An RNN that reads no input and hands each unit's number on as it is."""
    layer: Any = glasscell.RNN(I, H, nonlinearity="relu", **options)  # type: ignore[arg-type]
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.weight_hh_l0.copy_(torch.eye(H))
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
    return layer


def test_a_recurrent_mask_lasts_for_a_sequence_and_scales():
    torch.manual_seed(0)
    layer = repeating(recurrent_dropout=0.4)
    output, _ = layer(torch.zeros(3, B, I), torch.ones(1, B, H))
    mask = output[0]
    kept = mask > 0
    assert_close(mask[kept], torch.full_like(mask[kept], 1 / 0.6))
    assert 0.4 < kept.double().mean() < 0.8
    assert_close(output[2], mask**3)  # the same units at every step
    assert not torch.equal(kept[0], kept[1])  # and others in every sequence


def test_dropped_weights_are_dropped_for_the_batch_and_scale():
    torch.manual_seed(0)
    layer = repeating(weight_dropout=0.5)
    output, _ = layer(torch.zeros(2, B, I), torch.ones(1, B, H))
    assert set(output[0].unique().tolist()) == {0.0, 2.0}
    assert (output[0] == output[0, :1]).all()  # all sequences alike
    assert_close(output[1], output[0] ** 2)
    output.sum().backward()
    grad = layer.weight_hh_l0.grad
    assert grad is not None
    assert not grad.diagonal()[output[0, 0] == 0].any()


@pytest.mark.parametrize(
    ("cell", "option", "why"),
    [
        ("min_lstm", "recurrent_dropout", "no gate of this cell reads h"),
        ("min_gru", "recurrent_dropout", "no gate of this cell reads h"),
        ("min_gru", "weight_dropout", "no recurrent matrix"),
        ("indrnn", "weight_dropout", "no recurrent matrix"),
    ],
)
def test_what_would_do_nothing_is_refused(cell, option, why):
    rates: list[dict[str, Any]] = [{option: 0.5}, {option: 0.0}]
    with pytest.raises(InputError, match=why):
        glasscell.Recurrent(3, 4, cell=cell, **rates[0])
    glasscell.Recurrent(3, 4, cell=cell, **rates[1])


@pytest.mark.parametrize("squash", ["sigmoid", "hard_sigmoid"])
@pytest.mark.parametrize("how", ["bernoulli", "gumbel"])
@pytest.mark.parametrize("zoneout", [0.0, 0.3])
def test_drawn_hidden_states_pass_back_what_autograd_finds(squash, how, zoneout):
    """An RNN whose hidden state is itself a gate that is drawn."""
    line = f"rnn(hidden=gate(squash={squash}, stochastic='{how}'))"
    layer = glasscell.Recurrent(3, 4, cell=line, zoneout=zoneout, dtype=torch.float64)
    assert layer.explain_engine(torch.zeros(5, 2, 3, dtype=torch.float64)).engine == "reference"
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    found = []
    for create_graph in (False, True):  # written out, and autograd's through the unrolled steps
        torch.manual_seed(4)
        loss = (layer(x)[0] * torch.arange(4)).sum()
        gradients = torch.autograd.grad(loss, list(layer.parameters()), create_graph=create_graph)
        found.append([g.detach() for g in gradients])
    for written, unrolled in zip(*found, strict=True):
        assert unrolled.abs().max() > 0
        torch.testing.assert_close(written, unrolled)


@pytest.mark.parametrize("engine", EITHER)
@pytest.mark.parametrize("training", [True, False])
def test_an_slstm_that_holds_keeps_its_scale_over_long_sequences(training, engine):
    """In single precision as in double: neither a held nor a new state leaves the range."""
    torch.manual_seed(0)
    line = "slstm(forgetting='exponential')"
    layer: Any = glasscell.Recurrent(16, 32, cell=line, zoneout=(0.4, 0.0), engine=engine)
    layer.train(training)
    x = torch.randn(600, 8, 16)
    found = []
    for dtype in (torch.float32, torch.float64):
        layer.to(dtype).zero_grad()
        torch.manual_seed(1)
        y, _ = layer(x.to(dtype))
        (y * torch.arange(32, dtype=dtype)).sum().backward()
        gradients = [p.grad.clone() for p in layer.parameters() if p.grad is not None]
        found.append((y.detach(), *gradients))
    for single, double in zip(*found, strict=True):
        near = 2e-3 * double.abs().max()
        torch.testing.assert_close(single.double(), double, rtol=2e-3, atol=near)


@pytest.mark.parametrize("engine", EITHER)
@pytest.mark.parametrize("training", [True, False])
def test_an_slstm_without_a_past_may_hold_it(training, engine):
    """From m_0 = -inf there is nothing to be held, and what stays of it is nothing."""
    layer = glasscell.Recurrent(2, 3, cell="slstm", zoneout=(0.5, 0.0), engine=engine)
    layer.train(training)
    c_0 = torch.zeros(1, 4, 9)
    c_0[..., 6:] = -torch.inf
    c_0.requires_grad_()
    torch.manual_seed(2)
    y, (_, c_n) = layer(torch.randn(12, 4, 2), (torch.zeros(1, 4, 3), c_0))
    (y * torch.arange(3)).sum().backward()
    for found in (y, c_n, c_0.grad, *(p.grad for p in layer.parameters())):
        assert found is not None
        assert found.isfinite().all()


def test_an_slstm_in_bfloat16_holds_at_the_rate_that_was_given():
    """A rate near 1 is no rate of bfloat16, and must not become one."""
    torch.manual_seed(0)
    layer: Any = glasscell.Recurrent(2, 3, cell="slstm", zoneout=(0.999, 0.0), engine="reference")
    x = torch.randn(200, 1, 2)
    layer.to(torch.bfloat16).eval()
    found = layer(x.to(torch.bfloat16))[0]
    expected = layer.to(torch.float64)(x.to(torch.bfloat16).double())[0]
    assert_close(found.double(), expected, dtype=torch.bfloat16)


def test_an_edit_that_replaces_a_huge_gate_lets_no_gradient_through():
    layer: Any = glasscell.Recurrent(2, 3, cell="slstm", engine="reference")
    with torch.no_grad():
        layer.bias_ih_l0[:3] = 100.0  # its exponential is beyond single precision
    x = torch.randn(4, 1, 2, requires_grad=True)
    edits = [
        glasscell.Edit("l0", "stabilizer", set=0.0),
        glasscell.Edit("l0", "input_gate", set=0.5),
    ]
    with glasscell.edit(layer, edits):
        layer(x)[0].sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize("engine", EITHER)
@pytest.mark.parametrize(
    ("i_pre", "f_pre", "T"), [(90.0, -1.0, 100), (110.0, -3.0, 150), (-100.0, 0.0, 60)]
)
def test_an_slstms_held_state_is_what_no_stabilizer_says(i_pre, f_pre, T, engine):
    """The first step writes with exp(i_pre), the others with 1; or all of them with exp(-100)."""
    layer = glasscell.Recurrent(3, 1, cell="slstm", zoneout=(0.1, 0.0), engine=engine).eval()
    for weight in layer.parameters():
        torch.nn.init.zeros_(weight)
    with torch.no_grad():
        layer.weight_ih_l0[0, 0] = 1.0  # i_pre
        layer.weight_ih_l0[1, 1] = 1.0  # f_pre
        layer.weight_ih_l0[2, 2] = 1.0  # g_pre
    x = torch.zeros(T, 1, 3)
    x[:, 0, 0] = i_pre if i_pre < 0 else 0.0
    x[0, 0, 0] = i_pre
    x[:, 0, 1] = f_pre
    x[:, 0, 2] = torch.linspace(-1, 1, T)
    shift = i_pre  # of all exponents, so that the largest is 0: c and n by one factor
    C = N = torch.zeros((), dtype=torch.float64)
    f = torch.tensor(f_pre, dtype=torch.float64).sigmoid()
    for x_t in x.double():
        i = (x_t[0, 0] - shift).exp()
        C_new, N_new = f * C + i * x_t[0, 2].tanh(), f * N + i
        C, N = 0.1 * C + 0.9 * C_new, 0.1 * N + 0.9 * N_new
        h = 0.5 * C_new / N_new
    found = layer(x)[0][-1, 0, 0]
    torch.testing.assert_close(found.double(), h, rtol=1e-4, atol=1e-5)
