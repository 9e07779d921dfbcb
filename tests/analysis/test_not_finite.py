"""Runs with NaN or infinity in them are refused, by the step at which it comes up."""

import math

import pytest
import torch

import glasscell
from glasscell import analysis
from glasscell.errors import InputError

T, B, I, H = 9, 3, 2, 4
LENGTHS = [5, 9, 7]


def with_nan(step=4, b=2, bad=math.nan):
    x = torch.randn(T, B, I)
    x[step, b] = bad
    return x


def traced(module, x, lengths=LENGTHS):
    with torch.no_grad(), glasscell.trace(module) as trace:
        module(x, lengths=lengths)
    return trace


@pytest.mark.parametrize("make", [glasscell.LSTM, glasscell.GRU, glasscell.RNN])
@pytest.mark.parametrize(
    "ask",
    [
        lambda module, layer: analysis.principal_components(layer),
        lambda module, layer: analysis.lyapunov_exponents(module, layer),
        lambda module, layer: analysis.kick_survival(module, layer),
        lambda module, layer: analysis.fixed_points(module, starts=layer),
    ],
    ids=["principal_components", "lyapunov_exponents", "kick_survival", "fixed_points"],
)
def test_the_first_step_is_named(ask, make):
    module = make(I, H, bidirectional=True)
    trace = traced(module, with_nan())
    with pytest.raises(InputError, match="some that hold NaN from step 4 of sequence 2 on"):
        ask(module, trace["l0"])
    with pytest.raises(InputError, match="hold NaN from step 4 of sequence 2 back"):
        ask(module, trace["l0_reverse"])


def test_gradients():
    module, x = glasscell.LSTM(I, H), with_nan()
    message = "l0: expected finite states, got some that hold NaN from step 4 of sequence 2 on"
    with pytest.raises(InputError, match=message):
        analysis.rnnbow(module, x, lengths=LENGTHS, b=2)
    with pytest.raises(InputError, match=message):
        analysis.rnnbow(module, x, lengths=LENGTHS, b=-1)
    assert analysis.rnnbow(module, x, lengths=LENGTHS, b=1).hidden.isfinite().all()
    with pytest.raises(InputError, match=message):
        analysis.gradient_flow(module, x, lengths=LENGTHS)


@pytest.mark.parametrize("make", [glasscell.LSTM, glasscell.GRU])
def test_an_account_is_given_up_to_there(make):
    layer = traced(make(I, H), with_nan())["l0"]
    assert analysis.ledger(layer, 3, b=2).total.isfinite().all()
    assert analysis.ledger(layer, -1, b=1).total.isfinite().all()
    message = "l0: expected finite gates, got some that hold NaN from step 4 of sequence 2 on"
    for step in (4, 6):
        with pytest.raises(InputError, match=message):
            analysis.ledger(layer, step, b=2)


def test_single_sequences_and_infinity():
    rnn = glasscell.RNN(1, 1, nonlinearity="relu")
    with torch.no_grad():
        for weight in rnn.parameters():
            weight.fill_(1e20)
        with glasscell.trace(rnn) as trace:
            rnn(torch.ones(6, 1))
    with pytest.raises(InputError, match="states, got some that hold infinity from step 1 on"):
        analysis.principal_components(trace["l0"], 1)


def test_memory_spans_say_which_units_it_is(layer_with):
    f = torch.tensor([[0.5, math.nan, 0.9], [0.5, 0.5, 0.9]])
    layer = layer_with("lstm", forget_gate=torch.full((2, 3), 0.5))
    layer.record.gates[:, [gate.name for gate in layer.gate_maps].index("forget_gate")] = f
    assert analysis.memory_span(layer).isnan().tolist() == [False, True, False]
    assert [each.unit for each in analysis.units_by_memory(layer)] == [2, 0, 1]


def test_weights():
    gru = glasscell.GRU(I, H)
    with torch.no_grad():
        gru.weights().U[0, 0] = math.nan
    with pytest.raises(InputError, match="l0: expected finite weights, got some that hold NaN"):
        analysis.fixed_points(gru)
