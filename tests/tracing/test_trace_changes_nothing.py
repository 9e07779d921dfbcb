"""Observing changes nothing: the same bits, the same random numbers, and no trace of the trace."""

import copy
import pickle

import pytest
import torch
from tests.nn.pairs import flat, initial
from tests.tolerances import assert_close, assert_same_bits
from tests.tracing.models import LAYERS, LAYOUTS, Loop, Tagger, input_in, make
from torch import nn
from torch.func import functional_call, grad, vmap

import glasscell

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def run(layer, input, hx, seed=5):
    """Outputs, gradients of all weights, and the random state after."""
    torch.manual_seed(seed)
    for weight in layer.parameters():
        weight.grad = None
    result = flat(layer(input, hx))
    if result[0].requires_grad:
        torch.stack([each.double().square().sum() for each in result]).sum().backward()
    return result, [weight.grad for weight in layer.parameters()], torch.get_rng_state()


def assert_identical(untraced, traced):
    for a, b in zip(untraced[0], traced[0], strict=True):
        assert torch.equal(a, b)
        assert a.dtype == b.dtype
        assert a.requires_grad == b.requires_grad
        assert a.stride() == b.stride()
    for a, b in zip(untraced[1], traced[1], strict=True):
        assert_same_bits(a, b)
    assert torch.equal(untraced[2], traced[2])


RUNS = [
    *((torch.float32, layout) for layout in LAYOUTS),
    *((torch.bfloat16, layout) for layout in ("dense", "unbatched", "packed")),
    (torch.float64, "dense"),
]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("dtype", "layout"), RUNS)
@pytest.mark.parametrize("name", LAYERS)
def test_bit_for_bit(name, dtype, layout, training):
    """With dropout between the layers in training."""
    layer = make(name, 3, 4, num_layers=3, bidirectional=True, dropout=0.4, dtype=dtype,
                 batch_first=layout == "batch_first").train(training)  # fmt: skip
    x = torch.randn(6, 5, 3, dtype=dtype)
    hx = initial(layer, None if layout == "unbatched" else 5, dtype)
    hx = tuple(h.detach() for h in hx) if isinstance(hx, tuple) else hx.detach()
    untraced = run(layer, input_in(layout, x)[0], hx)
    with glasscell.trace(layer) as trace:
        traced = run(layer, input_in(layout, x)[0], hx)
    assert_identical(untraced, traced)
    top = trace["l2"].tokens("hidden"), trace["l2_reverse"].tokens("hidden")
    shown = traced[0][0]
    if layout == "batch_first":
        shown = shown.transpose(0, 1)
    shown = shown if layout.startswith("packed") or layout == "unbatched" else shown.flatten(0, 1)
    assert torch.equal(torch.cat(top, -1), shown), "the trace shows other outputs than the layer's"
    assert_identical(untraced, run(layer, input_in(layout, x)[0], hx))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", LAYERS)
def test_bit_for_bit_without_gradients(name, mode):
    layer = make(name, num_layers=2, bidirectional=True, dropout=0.4)
    x = torch.randn(6, 5, 3)
    with mode():
        untraced = run(layer, x, None)
        with glasscell.trace(layer) as trace:
            traced = run(layer, x, None)
    assert_identical(untraced, traced)
    assert not trace["l0"].hidden.requires_grad


@pytest.mark.parametrize("name", [name for name in LAYERS if "projected" not in name])
def test_bit_for_bit_under_autocast(name):
    layer = make(name, num_layers=2, bidirectional=True, dropout=0.4)
    x = torch.randn(6, 5, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        untraced = run(layer, x, None)
        with glasscell.trace(layer) as trace:
            traced = run(layer, x, None)
    assert_identical(untraced, traced)
    assert torch.isfinite(trace["l1"].pre["candidate" if "RNN" not in name else "hidden"]).all()


@pytest.mark.parametrize("name", LAYERS)
def test_an_empty_batch_passes_as_it_does_untraced(name):
    layer = make(name, num_layers=2)
    with glasscell.trace(layer) as trace:
        output, _ = layer(torch.randn(6, 0, 3))
    assert trace["l1"].hidden.shape == output.shape
    assert "l1" in str(trace)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", LAYERS)
def test_a_run_that_diverged_passes_as_it_does_untraced(name, bad):
    layer = make(name, num_layers=2, dropout=0.4)
    x = torch.randn(6, 5, 3)
    x[2, 1, 0] = bad
    torch.manual_seed(5)
    expected, _ = layer(x)
    torch.manual_seed(5)
    with glasscell.trace(layer):
        output, _ = layer(x)
    assert torch.equal(torch.isnan(output), torch.isnan(expected))
    assert torch.equal(output.nan_to_num(), expected.nan_to_num())


@pytest.mark.parametrize("name", LAYERS)
def test_a_model_under_grad_passes_as_it_does_untraced(name):
    layer = make(name, num_layers=2)
    x = torch.randn(6, 5, 3)
    weights = {key: weight.detach() for key, weight in layer.named_parameters()}

    def loss(w):
        return functional_call(layer, w, (x,))[0].square().sum()

    expected = grad(loss)(weights)
    with glasscell.trace(layer):
        found = grad(loss)(weights)
    for key in weights:
        assert torch.equal(found[key], expected[key])


def test_a_layer_under_vmap_passes_as_it_does_untraced():
    layer = glasscell.LSTM(3, 4)
    x = torch.randn(7, 6, 5, 3)
    expected = vmap(lambda x: layer(x)[0])(x)
    with glasscell.trace(layer):
        found = vmap(lambda x: layer(x)[0])(x)
    assert torch.equal(found, expected)


def hooks_of(model: nn.Module) -> list:
    """Every hook on every module."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs",
             "_forward_pre_hooks_with_kwargs", "_forward_hooks_always_called",
             "_backward_hooks", "_record_hooks")  # fmt: skip
    found = []
    for module in model.modules():
        found += [hook for kind in kinds for hook in getattr(module, kind, {}).values()]
    return found


def mixed() -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            "ours": glasscell.LSTM(3, 4),
            "theirs": nn.GRU(3, 4, num_layers=2, dropout=0.1),
            "cell": nn.LSTMCell(3, 4),
            "our_cell": glasscell.GRUCell(3, 4),
        }
    )


def test_leaving_the_block_takes_every_hook_away():
    model = mixed()
    mine = model["ours"].register_forward_hook(lambda *_: None)
    with glasscell.trace(model):
        assert len(hooks_of(model)) > 1
    assert len(hooks_of(model)) == 1
    mine.remove()
    assert hooks_of(model) == []


def test_so_does_leaving_it_by_an_exception():
    model = mixed()
    trace = glasscell.trace(model)

    def fails() -> None:
        with trace:
            model["ours"](torch.randn(6, 5, 3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert hooks_of(model) == []
    assert trace.names == ("ours.l0",)  # what had run is still there


@pytest.mark.parametrize("key", ["ours", "theirs", "cell", "our_cell"])
def test_a_failing_forward_fails_as_it_does_untraced(key):
    model = mixed()
    bad = torch.randn(5, 7)
    with pytest.raises(Exception) as untraced:
        model[key](bad)
    with glasscell.trace(model) as trace:
        with pytest.raises(type(untraced.value)) as traced:
            model[key](bad)
        assert str(traced.value) == str(untraced.value)
        model["theirs"](torch.randn(6, 5, 3))
    assert "theirs.l1" in trace
    assert hooks_of(model) == []


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("through", ["deepcopy", "pickle"])
def test_a_copy_made_inside_the_block_is_not_watched(name, through):
    layer = make(name)
    x = torch.randn(6, 5, 3)
    with glasscell.trace(layer) as trace:
        layer(x)
        again = copy.deepcopy(layer) if through == "deepcopy" else (
            pickle.loads(pickle.dumps(layer)))  # fmt: skip
        assert torch.equal(again(x)[0], layer(x)[0])
        assert len(trace.calls("l0")) == 2
    again(x)
    assert len(trace.calls("l0")) == 2


def test_weights_and_inputs_are_not_touched():
    model = Tagger(nn.LSTM(3, 4, num_layers=2), glasscell.GRU(4, 4))
    tokens = torch.arange(30).reshape(6, 5) % 11
    before = copy.deepcopy(model.state_dict())
    versions = [weight._version for weight in model.parameters()]
    with glasscell.trace(model):
        model(tokens)
    assert [weight._version for weight in model.parameters()] == versions
    assert all(torch.equal(before[key], weight) for key, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("library", [glasscell, nn])
@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells_bit_for_bit(library, name):
    model = Loop(getattr(library, name)(3, 4))
    x = torch.randn(6, 5, 3, requires_grad=True)
    expected = model(x)
    with glasscell.trace(model):
        found = model(x)
    assert torch.equal(found, expected)


def test_the_trace_of_a_step_does_not_grow_the_graph_of_the_output():
    """The output's gradient does not pass through the record."""
    layer = nn.LSTM(3, 4)
    x = torch.randn(6, 5, 3, requires_grad=True)
    with glasscell.trace(layer):
        output, _ = layer(x)
    (found,) = torch.autograd.grad(output.sum(), x)
    (expected,) = torch.autograd.grad(layer(x)[0].sum(), x)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("library", [glasscell, nn])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("grad", [False, True])
def test_what_is_recorded_stays_when_the_caller_writes_into_the_output(library, name, grad):
    layer = getattr(library, name)(3, 4)
    x = torch.randn(6, 5, 3)
    expected = layer(x)[0].detach()
    with torch.set_grad_enabled(grad), glasscell.trace(layer) as trace:
        out = layer(x)[0]
        out.mul_(0.0)
    assert torch.equal(trace["l0"].hidden, expected)
    assert torch.equal(trace["l0"].record.h_n, expected[-1])


@pytest.mark.parametrize("library", [glasscell, nn])
def test_what_is_recorded_stays_when_initial_states_are_reused(library):
    layer = library.LSTM(3, 4)
    h, c = torch.zeros(1, 5, 4), torch.zeros(1, 5, 4)
    with torch.no_grad(), glasscell.trace(layer) as trace:
        for _ in range(2):
            _, (h_n, c_n) = layer(torch.randn(1, 5, 3), (h, c))
            h.copy_(h_n)
            c.copy_(c_n)
    assert not trace["l0", 0].initial_cell.any()
    assert not trace["l0", 0].initial_hidden.any()
    assert_close(trace["l0", 1].initial_cell, trace["l0", 0].cell[0])


@pytest.mark.parametrize(
    "through", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_a_trace_and_its_layers_can_be_copied_and_pickled(through):
    layer = nn.LSTM(3, 4)
    with torch.no_grad(), glasscell.trace(layer) as trace:
        layer(torch.randn(6, 5, 3))
    again = through(trace)
    assert torch.equal(again["l0"].forget_gate, trace["l0"].forget_gate)
    assert torch.equal(through(trace["l0"]).pre.candidate, trace["l0"].pre.candidate)
    assert torch.equal(through(trace["l0"].pre).candidate, trace["l0"].pre.candidate)
