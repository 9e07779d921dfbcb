from typing import Any

import pytest
import torch
from tests.analysis.gradients.unrolled import unroll
from tests.tolerances import assert_close

import glasscell
from glasscell.analysis import gradient_ledger
from glasscell.errors import InputError

T, B, I, H = 8, 3, 4, 5
LENGTHS = [5, 8, 7]


def traced(make, lengths=None, **options):
    torch.manual_seed(0)
    module = make(I, H, dtype=torch.float64, **options)
    x = torch.randn(T, B, I, dtype=torch.float64)
    with torch.no_grad(), glasscell.trace(module) as trace:
        module(x, lengths=lengths)
    return module, x, trace


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("name", ["l0", "l0_reverse"])
@pytest.mark.parametrize("make", [glasscell.LSTM, glasscell.GRU])
def test_the_account_sums_to_the_gradient_and_says_what_entered(make, name, lengths):
    """What enters an LSTM's cell at step s is h_s's own share: dL/dh_s * o_s * (1 - tanh(c_s)^2).

    In a GRU it is what is left of dL/dh_s once the update gate's way is taken off: what autograd
    finds with that way cut.
    """
    module, x, trace = traced(make, lengths, bidirectional=True)
    layer, reverse = trace[name], name == "l0_reverse"
    for b, length in enumerate(lengths or [T] * B):
        run = unroll(module, x[:length, b], name, reverse)
        loss = torch.stack([h.square().sum() for h in run.h]).sum()
        is_lstm = make is glasscell.LSTM
        d = run.gradients(loss, run.c if is_lstm else run.h)
        by_step = d.flip(0) if reverse else d
        for step in range(length):
            account = gradient_ledger(layer, step, b, gradient=by_step)
            assert_close(account.total, by_step[step])
            at = length - 1 - step if reverse else step  # in visited order
            order = range(step, -1, -1) if reverse else range(step, length)
            assert account.steps.tolist() == list(order)
            gate = "forget_gate" if is_lstm else "update_gate"
            keep = torch.stack([gates[gate] for gates in run.gates]).detach()
            products = torch.stack([keep[at + 1 : s + 1].prod(0) for s in range(at, length)])
            assert_close(account.kept, products)
            if is_lstm:
                dh = run.gradients(loss, run.h)
                o = torch.stack([gates["output_gate"] for gates in run.gates])
                slope = 1 - torch.stack(run.c).tanh() ** 2
                assert_close(account.entered, (dh * o * slope).detach()[at:])


def test_by_hand(layer_with):
    """A gradient of 1 enters at the last step; the gate lets a half, then a quarter through."""
    f = torch.tensor([[0.9], [0.5], [0.25]])
    layer = layer_with("lstm", forget_gate=f)
    d = torch.tensor([[0.125 + 3], [0.25], [1.0]])
    account = gradient_ledger(layer, gradient=d)
    assert account.entered.flatten().tolist() == pytest.approx([3, 0, 1])
    assert account.kept.flatten().tolist() == pytest.approx([1, 0.5, 0.125])
    assert account.contributions.flatten().tolist() == pytest.approx([3, 0, 0.125])


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("make", [glasscell.LSTM, glasscell.GRU])
def test_of_a_trace_with_gradients_and_edits(make, batch_first):
    """What entered is what the trace says came through the gates."""
    torch.manual_seed(0)
    module: Any = make(I, H, batch_first=batch_first, dtype=torch.float64)
    x = torch.randn((B, T, I) if batch_first else (T, B, I), dtype=torch.float64)
    state = module.cell.state
    with (
        glasscell.edit(module, "l0", state, units=[1], steps=4, scale=0.3),
        glasscell.edit(module, "l0", module.cell.keeping_gate.name, units=[2], set=1.0),
        glasscell.trace(module, gradients=True) as trace,
    ):
        module(x, lengths=LENGTHS)[0].square().sum().backward()
    layer = trace["l0"]
    for b, length in enumerate(LENGTHS):
        d = layer.of_sequence(layer.grad.tokens(state), b)
        through = layer.grad.through_gates
        through = through[b] if batch_first else through[:, b]
        for step in (0, 2, -1):
            account = gradient_ledger(layer, step, b)
            assert_close(account.total, d[step])
            assert_close(account.entered, through[:length][step % length :])


def test_what_has_no_account():
    _, _, trace = traced(glasscell.RNN)
    with pytest.raises(InputError, match="a rnn writes its whole state anew"):
        gradient_ledger(trace["l0"])
    layer = traced(glasscell.LSTM, LENGTHS)[2]["l0"]
    d = torch.zeros(LENGTHS[0], H)
    for step in (5, -6):
        with pytest.raises(InputError, match=rf"step: expected -5 to 4, .* sequence 0, got {step}"):
            gradient_ledger(layer, step, gradient=d)
    with pytest.raises(InputError, match=r"gradient: expected \(5, 5\), .* got \(8, 5\)"):
        gradient_ledger(layer, gradient=torch.zeros(T, H))
    with pytest.raises(InputError, match="b: expected a sequence of the batch"):
        gradient_ledger(layer, b=3, gradient=d)
    with pytest.raises(InputError, match="its gradients were not kept"):
        gradient_ledger(layer)
