"""Names, patterns, several calls, shared modules, nested and repeated traces, whole models."""

import copy
from typing import Any

import pytest
import torch
from tests.tracing.models import Loop, Tagger
from torch import nn

import glasscell
from glasscell.analysis import saturation

X = torch.randn(6, 5, 3)
TOKENS = torch.arange(30).reshape(6, 5) % 11


def tagger() -> Tagger:
    return Tagger(nn.LSTM(3, 2, num_layers=2, bidirectional=True), glasscell.GRU(4, 4))


ALL = ("encoder.l0", "encoder.l0_reverse", "encoder.l1", "encoder.l1_reverse", "stack.decoder.l0")


def test_names_are_the_module_paths():
    model = tagger()
    with glasscell.trace(model) as trace:
        model(TOKENS)
    assert trace.names == ALL
    assert list(trace) == list(ALL)
    assert len(trace) == 5
    assert "encoder.l1" in trace
    assert "encoder" not in trace
    assert [name for name, _ in trace.items()] == list(ALL)
    assert trace["encoder.l0"].name == "encoder.l0"
    assert trace["encoder.l0"].kind == "lstm"
    assert trace["encoder.l0"].hidden_size == 2
    assert repr(trace) == f"<Trace of {', '.join(ALL)}>"


def test_the_layer_that_is_the_model_has_no_path():
    for layer in (nn.GRU(3, 4, num_layers=2), glasscell.GRU(3, 4, num_layers=2)):
        with glasscell.trace(layer) as trace:
            layer(X)
        assert trace.names == ("l0", "l1")
    cell = nn.GRUCell(3, 4)
    with glasscell.trace(cell) as trace:
        cell(X[0])
    assert trace.names == ("cell",)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (None, ALL),
        ("encoder.*", ALL[:4]),
        ("encoder.l1", ("encoder.l1",)),
        ("*_reverse", ("encoder.l0_reverse", "encoder.l1_reverse")),
        (["encoder.l0", "stack.*"], ("encoder.l0", "stack.decoder.l0")),
        (("*.l0",), ("encoder.l0", "stack.decoder.l0")),
        ((name for name in ["*.decoder.l?"]), ("stack.decoder.l0",)),
    ],
    ids=str,
)
def test_only_the_layers_asked_for(layers, expected):
    model = tagger()
    with glasscell.trace(model, layers=layers) as trace:
        model(TOKENS)
    assert trace.names == expected


@pytest.mark.parametrize("layers", ["nothing.*", ["decoder.l0", "nothing"], "encoder", []])
def test_patterns_that_name_no_layer_are_refused(layers):
    with pytest.raises(glasscell.InputError, match="layers: "):
        glasscell.trace(tagger(), layers=layers)


def test_unknown_names():
    model = tagger()
    with glasscell.trace(model) as trace:
        model(TOKENS)
    with pytest.raises(KeyError) as caught:
        trace["encoder.l9"]
    assert str(caught.value) == (f"'encoder.l9' is not in this trace; it holds {', '.join(ALL)}")
    with pytest.raises(KeyError):
        trace.calls("encoder")
    with pytest.raises(AttributeError, match=r"'forgetgate'; a layer has input_gate"):
        _ = trace["encoder.l0"].forgetgate
    with pytest.raises(AttributeError, match=r"'cell'; a layer has reset_gate"):
        _ = trace["stack.decoder.l0"].cell
    with pytest.raises(AttributeError, match=r"'hidden'; pre-activations are those of input_gate"):
        _ = trace["encoder.l0"].pre.hidden
    with pytest.raises(ValueError, match=r"quantity: expected one of input_gate.*got 'gate'"):
        trace["encoder.l0"]["gate"]
    with pytest.raises(AttributeError, match="a gru has no cell state"):
        _ = trace["stack.decoder.l0"].initial_cell
    assert not hasattr(trace["encoder.l0"], "reset_gate")
    assert hasattr(trace["encoder.l0"], "forget_gate")


def test_an_empty_trace_says_that_nothing_ran():
    with glasscell.trace(tagger()) as trace:
        pass
    with pytest.raises(KeyError, match="the model has not run inside the block"):
        trace["encoder.l0"]
    assert "has not run" in str(trace)
    assert repr(trace) == "<Trace of nothing yet>"


def test_a_model_with_nothing_to_trace_is_refused():
    with pytest.raises(ValueError, match="model: Linear has no LSTM, GRU or RNN layer in it"):
        glasscell.trace(nn.Linear(3, 4))
    with pytest.raises(TypeError, match=r"model: expected a torch\.nn\.Module, got function"):
        glasscell.trace(lambda x: x)  # type: ignore[arg-type]


@pytest.mark.parametrize("layer_class", [nn.LSTM, glasscell.LSTM])
def test_several_calls_of_one_layer(layer_class):
    layer = layer_class(3, 4)
    with glasscell.trace(layer) as trace:
        first, state = layer(X)
        second, _ = layer(X[:2], state)
    assert trace.names == ("l0",)
    calls = trace.calls("l0")
    assert len(calls) == 2
    assert torch.equal(calls[0].hidden, first)
    assert torch.equal(calls[1].hidden, second)
    assert torch.equal(trace["l0", 1].hidden, second)
    assert torch.equal(trace["l0", -1].hidden, second)
    assert torch.equal(calls[1].initial_hidden, state[0][0])
    assert torch.equal(calls[1].initial_cell, state[1][0])
    with pytest.raises(ValueError, match=r"'l0' ran 2 times inside the block; say which call"):
        trace["l0"]
    with pytest.raises(ValueError, match="'l0' ran 2 times; there is no call 2"):
        trace["l0", 2]


def test_a_layer_used_twice_in_one_forward():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.GRU(3, 3)

        def forward(self, x):
            return self.layer(self.layer(x)[0])[0]

    model = Twice()
    with glasscell.trace(model) as trace:
        output = model(X)
    first, second = trace.calls("layer.l0")
    assert torch.equal(second.hidden, output)
    assert torch.equal(model.layer(first.hidden)[0], output)


def test_one_module_under_two_paths_is_recorded_once_a_call():
    shared = nn.LSTM(3, 3)
    model = nn.ModuleDict({"a": shared, "b": shared})
    with glasscell.trace(model) as trace:
        model["a"](X)
        model["b"](X)
    assert trace.names == ("a.l0",)
    assert len(trace.calls("a.l0")) == 2


@pytest.mark.parametrize("layer_class", [nn.LSTM, glasscell.LSTM, nn.GRU])
def test_nested_traces_both_see_everything(layer_class):
    layer = layer_class(3, 4)
    with glasscell.trace(layer) as outer:
        layer(X)
        with glasscell.trace(layer) as inner:
            layer(X[:3])
        layer(X[:2])
    assert len(outer.calls("l0")) == 3
    assert len(inner.calls("l0")) == 1
    assert torch.equal(outer["l0", 1].hidden, inner["l0"].hidden)


def test_a_trace_of_a_part_inside_a_trace_of_the_whole():
    model = tagger()
    with glasscell.trace(model) as whole, glasscell.trace(model.encoder) as part:
        model(TOKENS)
    assert whole.names == ALL
    assert part.names == ("l0", "l0_reverse", "l1", "l1_reverse")
    assert torch.equal(whole["encoder.l1"].hidden, part["l1"].hidden)


def test_a_trace_can_be_used_again_and_starts_anew():
    layer = nn.LSTM(3, 4)
    trace = glasscell.trace(layer)
    with trace:
        layer(X)
    with trace:
        layer(X[:2])
        with pytest.raises(RuntimeError, match="already recording"):
            trace.__enter__()
    assert trace["l0"].hidden.shape == (2, 5, 4)


def test_lists_handed_out_do_not_change_the_trace():
    layer = nn.LSTM(3, 4)
    with glasscell.trace(layer) as trace:
        layer(X)
    calls = trace.calls("l0")
    if isinstance(calls, list):
        calls.clear()
    assert len(trace.calls("l0")) == 1


@pytest.mark.parametrize("library", [glasscell, nn])
def test_cells_called_with_batches_of_different_sizes(library):
    cell = library.GRUCell(3, 4)
    model = nn.ModuleDict({"cell": cell, "layer": nn.GRU(3, 4)})
    with glasscell.trace(model) as trace:
        cell(X[0])
        cell(X[0, :2])
        model["layer"](X)
    with pytest.raises(ValueError, match="batches of different sizes"):
        trace["cell"]
    assert [call.hidden.shape for call in trace.calls("cell")] == [(1, 5, 4), (1, 2, 4)]
    assert str(trace).count("reset_gate") == 3


def test_a_detached_layer_has_the_same_numbers_and_no_graph():
    layer = nn.LSTM(3, 4)
    with glasscell.trace(layer) as trace:
        layer(X)
    attached, detached = trace["l0"], trace["l0"].detach()
    assert attached.cell.requires_grad
    for quantity in attached.quantities:
        assert torch.equal(detached[quantity], attached[quantity])
        assert not detached[quantity].requires_grad
    assert not detached.initial_hidden.requires_grad


def test_what_a_layer_offers_is_listed():
    layer = nn.LSTM(3, 4)
    with glasscell.trace(layer) as trace:
        layer(X)
    l0 = trace["l0"]
    assert {"forget_gate", "cell", "hidden", "pre"} <= set(dir(l0))
    assert dir(l0.pre) == sorted(["input_gate", "forget_gate", "candidate", "output_gate"])
    assert repr(l0) == "<l0: lstm, 4 units, 6 steps, 5 sequences>"


def test_a_subclass_with_other_argument_names():
    class Mine(nn.LSTM):
        def forward(self, x, state=None):
            return super().forward(x, state)

    layer = Mine(3, 4)
    expected, state = layer(X)
    with glasscell.trace(layer) as trace:
        output, _ = layer(x=X)
        layer(X, state=state)
    assert torch.equal(output, expected)
    assert torch.equal(trace["l0", 0].hidden, expected)
    assert torch.equal(trace["l0", 1].initial_hidden, state[0][0])


def test_a_parametrised_layer():
    layer: Any = nn.utils.parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    with torch.no_grad():
        layer.parametrizations.weight_hh_l0.original0.mul_(1.5)
    with glasscell.trace(layer) as trace:
        _, (_, c_n) = layer(X)
    torch.testing.assert_close(trace["l0"].cell[-1], c_n[0], rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
@pytest.mark.filterwarnings("ignore:.torch.jit.script.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("warm", [False, True], ids=["first-run", "compiled-before"])
@pytest.mark.parametrize("layer_class", [nn.LSTM, glasscell.LSTM])
def test_a_compiled_model(layer_class, warm):
    torch._dynamo.reset()
    model = Tagger(layer_class(3, 4), layer_class(4, 4))
    run: Any = torch.compile(model, backend="eager")
    expected = run(TOKENS) if warm else model(TOKENS)
    with glasscell.trace(run) as trace:
        output = run(TOKENS)
    assert torch.equal(output, expected)
    assert trace.names == ("encoder.l0", "stack.decoder.l0")
    assert torch.equal(model.head(trace["stack.decoder.l0"].hidden), output)


def test_a_loop_with_a_cell_and_a_layer_together():
    model = nn.ModuleDict({"loop": Loop(nn.LSTMCell(4, 4)), "layer": nn.LSTM(3, 4)})
    with glasscell.trace(model) as trace:
        output = model["loop"](model["layer"](X)[0])
    assert trace.names == ("layer.l0", "loop.cell")
    assert torch.equal(trace["loop.cell"].hidden, output)


def test_what_is_a_layers_is_not_the_traces():
    lstm = glasscell.LSTM(3, 4)
    with torch.no_grad(), glasscell.trace(lstm) as trace:
        lstm(torch.randn(5, 2, 3))
    with pytest.raises(AttributeError, match=r"no 'gate_maps'; ask one of its layers, trace\[\"l0"):
        saturation(trace)  # type: ignore[arg-type]
    assert copy.deepcopy(trace).names == ("l0",)
