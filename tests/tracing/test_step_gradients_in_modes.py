"""Gradients of every step with everything else: modes, precisions, edits, files, errors."""

import copy
import pickle

import pytest
import torch
from tests.tolerances import assert_close, assert_same_bits
from tests.tracing.models import LAYERS, Tagger, make
from torch import nn

import glasscell
from glasscell.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

T, B = 6, 5


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", LAYERS)
def test_observing_changes_no_bit(name, training):
    layer = make(name, num_layers=3, dropout=0.4, bidirectional=True).train(training)
    x = torch.randn(T, B, 3, requires_grad=True)

    def run():
        layer.zero_grad()
        x.grad = None
        torch.manual_seed(3)
        output, states = layer(x)
        (output.sum() + sum(s.square().sum() for s in states)).backward()
        return [output, x.grad, *(weight.grad for weight in layer.parameters())]

    plain = run()
    with glasscell.trace(layer, gradients=True) as trace:
        traced = run()
    for a, b in zip(plain, traced, strict=True):
        assert_same_bits(a, b)
    assert (trace["l0"].grad.hidden != 0).any()


@pytest.mark.parametrize("name", ["glasscell.LSTM", "torch.nn.LSTM"])
def test_last_states_and_losses_on_states(name):
    lstm = make(name, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    with glasscell.trace(lstm, gradients=True) as trace:
        _, (_, c_n) = lstm(x)
        (2 * c_n).sum().backward()
    d = trace["l0"].grad.cell
    assert_close(d[-1], torch.full_like(d[-1], 2.0))
    assert (d[:-1] != 0).all()


def test_a_loss_on_a_gate_counts():
    lstm = glasscell.LSTM(3, 4, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    with glasscell.trace(lstm, gradients=True) as trace:
        lstm(x)
    trace["l0"].forget_gate[2].sum().backward()
    assert_close(trace["l0"].grad.forget_gate[2], torch.ones(B, 4, dtype=torch.float64))
    assert (trace["l0"].grad.forget_gate[3:] == 0).all()
    assert (trace["l0"].grad.hidden[1] != 0).any()


@pytest.mark.parametrize("name", ["glasscell.LSTM", "torch.nn.LSTM", "glasscell.RNN"])
def test_backwards_add_up(name):
    layer = make(name)
    x = torch.randn(T, B, 3)
    with glasscell.trace(layer, gradients=True) as trace:
        loss = layer(x)[0].sum()
        loss.backward(retain_graph=True)
        once = trace["l0"].grad.hidden.clone()
        loss.backward()
    assert_close(trace["l0"].grad.hidden, 2 * once, kind="gradient")


@pytest.mark.parametrize("name", ["glasscell.LSTM", "torch.nn.LSTM"])
def test_frozen_weights_and_eval(name):
    """Only what comes before or after learns, or nothing but what is asked."""
    layer = make(name, dtype=torch.float64).eval().requires_grad_(False)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    learned = copy.deepcopy(layer).requires_grad_()
    with glasscell.trace(learned, gradients=True) as wanted:
        learned(x)[0].sum().backward()
    leaf = x.clone().requires_grad_()
    with glasscell.trace(layer, gradients=True) as trace:
        layer(leaf)[0].sum().backward()
    assert_close(trace["l0"].grad.cell, wanted["l0"].grad.cell, kind="gradient")
    if name.startswith("glasscell"):
        with glasscell.trace(layer, gradients=True) as trace:
            layer(x)[0].sum().backward()
        assert_close(trace["l0"].grad.cell, wanted["l0"].grad.cell, kind="gradient")


@pytest.mark.parametrize("name", ["glasscell.LSTM", "torch.nn.LSTM", "glasscell.GRU"])
def test_with_edits(name):
    """The gradient of what was changed, after the change: by finite differences."""
    layer = make(name, dtype=torch.float64)
    x = torch.randn(T, 1, 3, dtype=torch.float64)
    state = "hidden" if "GRU" in name else "cell"
    first = glasscell.edit(layer, "l0", state, units=[1], steps=[2], scale=0.5)
    with first, glasscell.trace(layer, gradients=True) as trace:
        layer(x)[0].square().sum().backward()
    for t in range(T):
        for u in range(4):
            losses = []
            for sign in (1, -1):
                kick = glasscell.edit(layer, "l0", state, units=u, steps=t, add=sign * 1e-5)
                with torch.no_grad(), first, kick:
                    losses.append(layer(x)[0].square().sum())
            slope = (losses[0] - losses[1]) / 2e-5
            assert abs(trace["l0"].grad[state][t, 0, u] - slope) < 1e-8 * max(1, abs(slope))
    layer_trace = trace["l0"]
    assert_close(
        layer_trace.grad.carried + layer_trace.grad.through_gates,
        layer_trace.grad[state],
        kind="gradient",
    )
    # half of what comes back past the edit is cut, unit by unit
    keep = layer_trace["forget_gate" if state == "cell" else "update_gate"][2, 0] * 1
    keep[1] = 0.5 * keep[1]
    assert_close(layer_trace.grad.carried[1, 0], keep * layer_trace.grad[state][2, 0])


@pytest.mark.parametrize("name", ["glasscell.LSTM", "torch.nn.LSTM", "glasscell.GRU"])
def test_double_backward(name):
    if name.startswith("torch"):
        layer = nn.LSTM(3, 4, dtype=torch.float64)
    else:
        layer = make(name, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64, requires_grad=True)
    with glasscell.trace(layer, gradients=True) as trace:
        (dx,) = torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)
    first = trace["l0"].grad.hidden.clone()
    assert (first != 0).any()
    plain_layer = copy.deepcopy(layer)
    (plain_dx,) = torch.autograd.grad(plain_layer(x)[0].sum(), x, create_graph=True)
    assert_close(dx, plain_dx, kind="gradient")
    assert_close(
        torch.autograd.grad(dx.square().sum(), x)[0],
        torch.autograd.grad(plain_dx.square().sum(), x)[0],
        kind="gradient",
    )


@pytest.mark.parametrize("library", [glasscell, nn])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_precisions_and_autocast(library, dtype):
    model = Tagger(library.LSTM(3, 4), library.GRU(4, 4))
    exact = copy.deepcopy(model).double()
    tokens = torch.randint(11, (T, B))
    with glasscell.trace(exact, gradients=True) as wanted:
        exact(tokens).square().sum().backward()
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)
    with glasscell.trace(model, gradients=True) as trace, autocast:
        loss = model(tokens).float().square().sum()
    loss.backward()
    for name, layer in trace.items():
        for quantity in layer.quantities:
            found, truth = layer.grad[quantity], wanted[name].grad[quantity]
            assert found.dtype == layer[quantity].dtype
            size = truth.abs().max()
            assert (found.double() - truth).abs().max() < (
                0.05 if autocast._enabled else 1e-5
            ) * size


@pytest.mark.parametrize("library", [glasscell, nn])
def test_the_graph_of_a_model_with_several_layers(library):
    """A loss on a model's output; the layer below gets what comes through the one above."""
    model = Tagger(library.LSTM(3, 4, num_layers=2), library.LSTM(4, 4)).double()
    tokens = torch.randint(11, (T, B))
    shift = torch.zeros(T, B, 4, dtype=torch.float64, requires_grad=True)
    with glasscell.trace(model, gradients=True) as trace:
        model(tokens).square().sum().backward()
    with glasscell.edit(model, "encoder.l0", "cell", add=shift):
        model(tokens).square().sum().backward()
    assert_close(trace["encoder.l0"].grad.cell, shift.grad, kind="gradient")


def test_what_may_be_written_into_may_still_be():
    """What its own backward does not need, and so may change in place, untraced or traced."""
    gru, lstm, x = nn.GRU(3, 4), nn.LSTM(3, 4), torch.randn(T, B, 3)
    with glasscell.trace(gru, gradients=True) as trace:
        output, h_n = gru(x)
        output[3:] = 0
        h_n.mul_(2)
        (output.sum() + h_n.sum()).backward()
    assert (trace["l0"].grad.hidden[2] != 0).any()
    with glasscell.trace(lstm, gradients=True):
        h_n, _ = lstm(x)[1]
        h_n.mul_(2).sum().backward()
    for library in (glasscell, nn):
        cell = library.GRUCell(3, 4)
        with glasscell.trace(cell, gradients=True) as trace:
            h = cell(x[0])
            h *= 2
            h.sum().backward()
        assert (trace["cell"].grad.hidden == 2).all()


@pytest.mark.parametrize("library", [glasscell, nn])
def test_steps_of_a_cell_after_the_loss_have_no_gradient(library):
    cell = library.LSTMCell(3, 4)
    x, state = torch.randn(T, B, 3), None
    with glasscell.trace(cell, gradients=True) as trace:
        outputs = []
        for x_t in x:
            state = cell(x_t, state)
            outputs.append(state[0])
        outputs[2].sum().backward()
    d = trace["cell"].grad.hidden
    assert (d[:3].abs().amax((1, 2)) > 0).all()
    assert (d[3:] == 0).all()


@pytest.mark.parametrize("library", [glasscell, nn])
def test_frozen_below_what_learns(library):
    """No weight of the layer learns, nor its input; a head above does."""
    layer = library.LSTM(3, 4, dtype=torch.float64).requires_grad_(False)
    head = nn.Linear(4, 1, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    with glasscell.trace(layer, gradients=True) as trace:
        head(layer(x)[0][-1]).sum().backward()
    d = trace["l0"].grad.hidden[-1]
    assert_close(d, head.weight.detach().expand_as(d), kind="gradient")


def test_saved_and_copied(tmp_path):
    lstm = glasscell.LSTM(3, 4)
    edit = glasscell.edit(lstm, "l0", "cell", units=[1], steps=2, scale=0.5)
    with edit, glasscell.trace(lstm, gradients=True) as trace:
        lstm(torch.randn(T, B, 3))[0].sum().backward()
    trace.save(tmp_path / "trace.safetensors")
    layer = trace["l0"]
    copies = (
        glasscell.load_trace(tmp_path / "trace.safetensors")["l0"],
        pickle.loads(pickle.dumps(layer.detach())),
        copy.deepcopy(layer.detach()),
    )
    for again in copies:
        for quantity in (*layer.quantities, "carried", "through_gates"):
            assert_same_bits(again.grad[quantity], layer.grad[quantity].detach())


def test_what_is_not_there():
    lstm = glasscell.LSTM(3, 4)
    x = torch.randn(T, B, 3)
    with glasscell.trace(lstm) as trace:
        lstm(x)[0].sum().backward()
    with pytest.raises(InputError, match="its gradients were not kept; trace with"):
        _ = trace["l0"].grad
    with glasscell.trace(lstm, gradients=True) as trace:
        loss = lstm(x)[0].sum()
    with pytest.raises(InputError, match="no backward has come here yet"):
        _ = trace["l0"].grad
    loss.backward()
    with pytest.raises(AttributeError, match="carried, through_gates"):
        _ = trace["l0"].grad.forget
    with pytest.raises(InputError, match="carried, through_gates"):
        _ = trace["l0"].grad["forget"]
    assert "forget_gate" in dir(trace["l0"].grad)
