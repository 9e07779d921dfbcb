"""The one-operator ONNX model, and what runs it, against torch.nn."""

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from tests.tolerances import assert_close
from torch import nn

from glasscell.bench.onnx_model import OUTPUTS, onnx_model
from glasscell.bench.runtimes import RUNTIMES

T, B, I, H = 7, 3, 5, 6
LAYERS = [nn.LSTM, nn.GRU]


def expected(layer, x):
    with torch.no_grad():
        output, last = layer(x)
    return output, *(last if isinstance(last, tuple) else (last,))


@pytest.mark.parametrize("layer_class", LAYERS)
def test_the_reference_evaluator_agrees(layer_class):
    layer, x = layer_class(I, H), torch.randn(T, B, I)
    model = onnx.load_from_string(onnx_model(layer, T, B))
    onnx.checker.check_model(model, full_check=True)
    output, *last = ReferenceEvaluator(model).run(None, {"x": x.numpy()})  # type: ignore[misc]
    found = torch.from_numpy(np.array(output))[:, 0], *(torch.from_numpy(each) for each in last)
    for name, a, b in zip(OUTPUTS[layer.mode], found, expected(layer, x), strict=True):
        assert_close(a, b, name)


@pytest.mark.parametrize("layer_class", LAYERS)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.package)
def test_runtimes_agree(runtime, layer_class):
    if not runtime.is_installed:
        pytest.skip(f"{runtime.package} is not installed")
    layer, x = layer_class(I, H), torch.randn(T, B, I)
    peer = runtime.peer(layer, x, torch.float32)
    assert peer.name == runtime.name
    assert peer.answer is not None
    found = peer.answer().values
    for name, right in zip(OUTPUTS[layer.mode], expected(layer, x), strict=True):
        assert_close(found[name], right, name)


def test_who_cannot_compute_in_bfloat16_competes_in_float32_and_says_so():
    layer, x = nn.LSTM(I, H).bfloat16(), torch.randn(T, B, I).bfloat16()
    for runtime in RUNTIMES:
        if runtime.is_installed:
            peer = runtime.peer(layer, x, torch.bfloat16)
            is_float32 = torch.bfloat16 not in runtime.dtypes
            assert peer.name.endswith("(float32)") == is_float32
            assert peer.answer is not None
            output = peer.answer().values["output"]
            assert_close(output, expected(layer, x)[0].float(), dtype=torch.bfloat16)


@pytest.mark.parametrize(
    "options", [{"num_layers": 2}, {"bidirectional": True}, {"proj_size": 2}, {"bias": False}]
)
def test_layers_that_are_not_plain_are_refused(options):
    with pytest.raises(ValueError, match="expected one plain layer"):
        onnx_model(nn.LSTM(I, H, **options), T, B)
