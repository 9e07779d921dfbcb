"""A loss on gates and states of a trace reaches every weight as through a hand-written loop."""

from typing import Any

import pytest
import torch
from tests.cells.equations import Model
from tests.engines.naive import run_stack
from tests.nn.pairs import initial, leaves
from tests.tolerances import assert_close
from tests.tracing.models import LAYERS, LAYOUTS, Loop, input_in, make
from tests.tracing.oracle import NAMES, WEIGHTS, kind_of
from torch import nn

import glasscell

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
QUANTITIES = ("gates", "pre", "cell", "hidden", "everything")


def loops(layer):
    """The layer's own parameters in the independent equations, connected to autograd."""
    relu = getattr(layer, "nonlinearity", "tanh") == "relu"

    def model(suffix):
        W, U, b_x, b_h, V = (getattr(layer, name + suffix, None) for name in WEIGHTS)
        return Model(kind_of(layer), W, U, b_x, b_h, V, relu=relu)

    directions = ("", "_reverse") if layer.bidirectional else ("",)
    return [[model(f"_l{l}{d}") for d in directions] for l in range(layer.num_layers)]


def selected(kind: str, what: str) -> list[str]:
    gates = list(NAMES[kind])
    states = ["hidden", *(["cell"] if kind == "lstm" else [])]
    groups = {"gates": gates, "pre": [f"pre.{gate}" for gate in gates], "cell": states[1:]}
    groups |= {"hidden": ["hidden"], "everything": gates + groups["pre"] + states}
    return groups[what]


CASES = [
    (name, what)
    for name in LAYERS
    for what in QUANTITIES
    if what != "cell" or kind_of(make(name)) == "lstm"
]


@pytest.mark.parametrize(("name", "what"), CASES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parameters_inputs_and_states(name, layout, what):
    layer = make(name, num_layers=2, bidirectional=True, dtype=torch.float64,
                 batch_first=layout == "batch_first")  # fmt: skip
    kind = kind_of(layer)
    asked = selected(kind, what)
    x = torch.randn(6, 5, 3, dtype=torch.float64, requires_grad=True)
    input, lengths = input_in(layout, x)
    B = 1 if layout == "unbatched" else 5
    hx = initial(layer, B)
    given = hx
    if layout == "unbatched":
        given = tuple(h[:, 0] for h in hx) if isinstance(hx, tuple) else hx[:, 0]
    with glasscell.trace(layer) as trace:
        layer(input, given)
    states = leaves(x, hx)[1:]
    true = run_stack(loops(layer), x[:, :B], lengths, *states).layers

    mine, right = [], []
    for key, oracle in true.items():
        for quantity in asked:
            gate = quantity.removeprefix("pre.")
            stacked = oracle.pre if gate != quantity else oracle.gates
            if quantity in ("hidden", "cell"):
                value = oracle.h if quantity == "hidden" else oracle.c
            else:
                value = stacked[:, :, NAMES[kind].index(gate)]
            value = value[:, 0] if layout == "unbatched" else value
            right.append(value.transpose(0, 1) if layout == "batch_first" else value)
            mine.append(trace[key][quantity])
    ds = [torch.randn_like(each) for each in right]
    wanted = [*leaves(x, hx), *layer.parameters()]
    found = torch.autograd.grad(mine, wanted, ds, allow_unused=True)
    expected = torch.autograd.grad(right, wanted, ds, allow_unused=True)
    for a, b, t in zip(found, expected, wanted, strict=True):
        a, b = (torch.zeros_like(t) if g is None else g for g in (a, b))
        assert_close(a, b, kind="gradient")


@pytest.mark.parametrize("library", [glasscell, nn])
@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells(library, name):
    """A loss on every gate and state of a hand-written loop."""
    model = Loop(getattr(library, name)(3, 4, dtype=torch.float64))
    cell: Any = model.cell
    kind = kind_of(cell)
    x = torch.randn(6, 5, 3, dtype=torch.float64, requires_grad=True)
    with glasscell.trace(model) as trace:
        model(x)
    weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
    zeros = x.new_zeros(1, 5, 4)
    states = (zeros, zeros) if kind == "lstm" else (zeros,)
    W, U, b_x, b_h = weights
    true = run_stack([[Model(kind, W, U, b_x, b_h)]], x, [6] * 5, *states).layers["l0"]
    mine = [trace["cell"][gate.name] for gate in trace["cell"].gate_maps]
    mine += [trace["cell"].pre[gate.name] for gate in trace["cell"].gate_maps]
    right = [*true.gates.unbind(2), *true.pre.unbind(2)]
    if kind == "lstm":
        mine, right = [*mine, trace["cell"].cell], [*right, true.c]
    ds = [torch.randn_like(each) for each in right]
    found = torch.autograd.grad(mine, [x, *weights], ds)
    for a, b in zip(found, torch.autograd.grad(right, [x, *weights], ds), strict=True):
        assert_close(a, b, kind="gradient")


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_torchs_layer_and_the_reference_engine_agree(name):
    theirs = getattr(nn, name)(3, 4, num_layers=2, dtype=torch.float64)
    ours = getattr(glasscell, name)(3, 4, num_layers=2, dtype=torch.float64, engine="reference")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(6, 5, 3, dtype=torch.float64)
    gate = {"LSTM": "forget_gate", "GRU": "update_gate", "RNN": "hidden"}[name]
    for layer in (ours, theirs):
        with glasscell.trace(layer) as trace:
            output, _ = layer(x)
        penalty = sum((trace[key][gate] - 0.7).square().mean() for key in trace.names)
        (output.square().mean() + penalty).backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(a.grad, b.grad, kind="gradient")


@pytest.mark.parametrize("name", ["torch.nn.LSTM", "glasscell.LSTM"])
def test_dropout_between_layers_is_in_the_graph(name):
    """Units dropped before the second layer get no gradient from its gates."""
    layer: Any = make(name, num_layers=2, dropout=1.0, dtype=torch.float64)
    x = torch.randn(6, 5, 3, dtype=torch.float64, requires_grad=True)
    with glasscell.trace(layer) as trace:
        layer(x)
    trace["l1"].forget_gate.sum().backward()
    assert x.grad is not None
    assert torch.count_nonzero(x.grad) == 0
    assert torch.count_nonzero(layer.weight_ih_l1.grad) == 0
    assert torch.count_nonzero(layer.weight_hh_l1.grad) > 0


@pytest.mark.parametrize("name", ["torch.nn.LSTM", "glasscell.LSTM"])
def test_second_derivatives_of_a_trace(name):
    layer = make(name, dtype=torch.float64)
    x = torch.randn(3, 2, 3, dtype=torch.float64, requires_grad=True)

    def cells(x):
        with glasscell.trace(layer) as trace:
            layer(x)
        return trace["l0"].cell, trace["l0"].forget_gate

    assert torch.autograd.gradgradcheck(cells, x, fast_mode=True)
