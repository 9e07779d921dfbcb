"""Layers as ONNX models: ONNX Runtime's and the reference evaluator's answers, and back again."""

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from tests.interchange.running import (
    assert_agree,
    assert_same_layer,
    flat,
    layer_of,
    ran,
    states_of,
)
from torch import nn

import glasscell
from glasscell import InputError, cells

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import onnxruntime

I, H, T, B = 5, 6, 7, 3
HARD = (
    "lstm(input_gate=gate(squash=hard_sigmoid), forget_gate=gate(squash=hard_sigmoid), "
    "output_gate=gate(squash=hard_sigmoid), output_squash=relu)"
)
CELLS = [
    "lstm",
    "peephole",
    "coupled",
    "cifg",
    "no_input_activation",
    "no_output_activation",
    HARD,
    "gru",
    "gru_reset_before",
    "gru(candidate=gate(squash=relu))",
    "rnn",
    "relu_rnn",
]
OPTIONS = {
    "plain": {},
    "nobias": {"bias": False},
    "both": {"bidirectional": True},
    "all": {"num_layers": 3, "bidirectional": True, "batch_first": True},
    "deep": {"num_layers": 2, "batch_first": True},
}
# ONNX's own evaluator takes no notice of activations, but in an RNN, nor of input_forget.
EVALUATED = ["lstm", "peephole", "gru", "gru_reset_before", "rnn"]


def feeds_of(layer, x, hx=None, lengths=None):
    feeds = {"input": x.numpy()}
    if hx is not None:
        feeds |= dict(zip(("h_0", "c_0"), (h.numpy() for h in flat(hx)), strict=False))
    if lengths is not None:
        feeds["lengths"] = np.array(lengths, np.int32)
    return feeds


def runtime(model, feeds) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return list(session.run(None, feeds))


def input_for(layer, T=T, B=B):
    x = torch.randn(T, B, I, dtype=layer.weight_ih_l0.dtype)
    return x.transpose(0, 1).contiguous() if layer.batch_first else x


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize("cell", CELLS)
def test_onnx_runtime_and_back(cell, options, tmp_path):
    layer = layer_of(cell, I, H, **options)
    path = tmp_path / "layer.onnx"
    model = glasscell.to_onnx(layer, path)
    for steps, batch in ((T, B), (1, 1)):  # any number of both
        x = input_for(layer, steps, batch)
        hx = states_of(layer, batch)
        assert_agree(ran(layer, x, hx), runtime(model, feeds_of(layer, x, hx)))
    for source in (model, path, str(path), model.SerializeToString()):
        again = glasscell.from_onnx(source, batch_first=layer.batch_first)
        assert_same_layer(again, layer)
    assert type(again).__name__ == {"l": "LSTM", "p": "LSTM", "c": "LSTM", "n": "LSTM"}.get(
        cell[0], "GRU" if cell[0] == "g" else "RNN"
    )


@pytest.mark.parametrize("cell", CELLS)
def test_lengths_and_no_states(cell):
    layer = layer_of(cell, I, H, num_layers=2, bidirectional=True)
    model = glasscell.to_onnx(layer, states=False, lengths=True)
    x, lengths = input_for(layer), [T, 2, 4]
    found = runtime(model, feeds_of(layer, x, lengths=lengths))
    assert_agree(ran(layer, x, lengths=lengths), found)
    assert_same_layer(glasscell.from_onnx(model), layer)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize("cell", EVALUATED)
def test_the_reference_evaluator(cell, options, dtype):
    layer = layer_of(cell, I, H, dtype=dtype, **options)
    x, hx = input_for(layer), states_of(layer, B)
    model = glasscell.to_onnx(layer)
    found = ReferenceEvaluator(model).run(None, feeds_of(layer, x, hx))
    assert_agree(ran(layer, x, hx), list(found))
    assert_same_layer(glasscell.from_onnx(model, batch_first=layer.batch_first), layer)


def test_a_forget_peephole_alone_has_zeros_beside_it():
    cell = "lstm(forget_gate=gate(reads=('x', 'h', 'c_prev')))"
    layer = layer_of(cell, I, H)
    model, x, hx = glasscell.to_onnx(layer), input_for(layer), states_of(layer, B)
    assert_agree(ran(layer, x, hx), runtime(model, feeds_of(layer, x, hx)))
    again = glasscell.from_onnx(model)
    assert again.cell == cells.VARIANTS["peephole"]
    assert_agree(ran(again, x, hx), ran(layer, x, hx))


def test_half_precision_weights_come_back():
    layer = layer_of("lstm", I, H).half()
    assert_same_layer(glasscell.from_onnx(glasscell.to_onnx(layer)), layer)


def test_dropout_is_no_part_of_it():
    layer = layer_of("gru", I, H, num_layers=2, dropout=0.5, recurrent_dropout=0.5)
    x, hx = input_for(layer), states_of(layer, B)
    found = runtime(glasscell.to_onnx(layer.train()), feeds_of(layer, x, hx))
    assert_agree(ran(layer.eval(), x, hx), found)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_what_pytorch_exports(kind, options, tmp_path):
    layer, x = kind(I, H, **options), torch.randn(T, B, I)
    path = tmp_path / "theirs.onnx"
    torch.onnx.export(layer, (x,), path, dynamo=False)
    ours = glasscell.from_onnx(path)
    assert_agree(ran(ours, x), ran(layer, x))
    assert ours.num_layers == layer.num_layers


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("hard_lstm", "ONNX has no activation hard_tanh"),
        ("janet", "ONNX has no input and forget gates that share in this way"),
        ("no_forget_gate", "ONNX has no LSTM without a forget gate"),
        ("no_input_gate", "ONNX has no LSTM without an input gate"),
        ("slstm", "ONNX has no cell of this kind"),
        ("fgr", "ONNX has no cell of this kind"),
        ("indrnn", "ONNX has no units that read of the past themselves alone"),
    ],
)
def test_variants_that_onnx_lacks_are_refused(cell, why):
    with pytest.raises(InputError, match=f"layer: {why}"):
        glasscell.to_onnx(layer_of(cell, I, H))


def test_other_layers_are_refused(tmp_path):
    with pytest.raises(InputError, match="no projection, got proj_size=2"):
        glasscell.to_onnx(glasscell.LSTM(I, H, proj_size=2))
    with pytest.raises(
        InputError, match=r"expected float16, float32 or float64, got torch\.bfloat16"
    ):
        glasscell.to_onnx(glasscell.LSTM(I, H).bfloat16())
    with pytest.raises(InputError, match="a one-step LSTMCell"):
        glasscell.to_onnx(glasscell.LSTMCell(I, H))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="zoneout"):
        glasscell.to_onnx(glasscell.LSTM(I, H, zoneout=0.1))
    with pytest.raises(TypeError, match="layer: expected"):
        glasscell.to_onnx(nn.LSTM(I, H))  # type: ignore[arg-type]
    with pytest.raises(OSError, match="there is no such folder"):
        glasscell.to_onnx(glasscell.LSTM(I, H), tmp_path / "none" / "layer.onnx")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'glasscell\[onnx\]'"):
        glasscell.to_onnx(glasscell.LSTM(I, H))
    with pytest.raises(ImportError, match=r"pip install 'glasscell\[onnx\]'"):
        glasscell.from_onnx("layer.onnx")


def test_the_model_says_its_shapes():
    model = glasscell.to_onnx(
        layer_of("lstm", I, H, num_layers=2, bidirectional=True), lengths=True
    )
    onnx.checker.check_model(model, full_check=True)

    def shapes(values):
        return {
            v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
            for v in values
        }

    state = [4, "B", H]
    assert shapes(model.graph.input) == {
        "input": ["T", "B", I],
        "h_0": state,
        "c_0": state,
        "lengths": ["B"],
    }
    assert shapes(model.graph.output) == {"output": ["T", "B", 2 * H], "h_n": state, "c_n": state}
