"""Analyses that take derivatives give under `torch.inference_mode()` what they give outside."""

import pytest
import torch
from tests.tolerances import assert_same_bits

import glasscell
from glasscell import analysis

I, H = 3, 4


def spectrum(model, layer, x):
    return analysis.lyapunov_exponents(model, layer, k=2).exponents


def spectrum_of_an_input(model, layer, x):
    return analysis.lyapunov_exponents(model, x).growth


def points(model, layer, x):
    return analysis.fixed_points(model, x[0, 0], starts=layer, n=8).states


def points_from_states(model, layer, x):
    starts = torch.cat([layer[name][0] for name in ("hidden", "cell") if name in layer.quantities])
    return analysis.fixed_points(model, starts=starts.reshape(-1, states(model))).states


def path(model, layer, x):
    return analysis.dynamics(model, layer, x[0, 0], k=2, n=8).places


def kicks(model, layer, x):
    return analysis.kick_survival(model, layer, window=3).own


def flow(model, layer, x):
    return analysis.gradient_flow(model, x, loss=lambda h: h.square().sum()).hidden


def flow_in_many_directions(model, layer, x):
    return analysis.gradient_flow(model, x).hidden


def items(model, layer, x):
    return analysis.rnnbow(model, x, loss=lambda h: h.square().sum()).recurrent_share


def states(model):
    return 2 * H if isinstance(model, torch.nn.LSTM | glasscell.LSTM) else H


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", [glasscell.LSTM, glasscell.GRU, torch.nn.LSTM])
@pytest.mark.parametrize(
    "ask",
    [spectrum, spectrum_of_an_input, points, points_from_states, path, kicks, flow,
     flow_in_many_directions, items],
)  # fmt: skip
def test_the_answer_is_the_same(ask, make, dtype):
    model, x = make(I, H, dtype=dtype), torch.randn(9, 2, I, dtype=dtype)
    with glasscell.trace(model) as trace:
        model(x)
    expected = ask(model, trace["l0"], x)
    with torch.inference_mode():
        same_x = x.clone()
        with glasscell.trace(model) as trace:
            model(same_x)
        found = ask(model, trace["l0"], same_x)
    assert_same_bits(found, expected)
    assert_same_bits(ask(model, trace["l0"], same_x), expected)  # of a trace from there, outside


def test_a_model_made_there_is_read_too():
    with torch.inference_mode():
        model, x = glasscell.GRU(I, H, dtype=torch.float64), torch.randn(9, 2, I).double()
        assert analysis.lyapunov_exponents(model, x, k=1).exponents.isfinite().all()
        assert analysis.fixed_points(model, x[0, 0]).fixed.any()
        assert analysis.gradient_flow(model, x, loss=lambda h: h.sum()).verdict == "vanishing"
