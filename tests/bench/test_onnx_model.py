"""The one-operator ONNX model, and what runs it, against torch.nn."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

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


@pytest.fixture(scope="module")
def elsewhere():
    """A process of its own: where OpenVINO has run, a later Ctrl-C, which other tests send, ends
    the process as long as Python's fault handler is on.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def answer(number: int, layer: nn.LSTM | nn.GRU, x: torch.Tensor, dtype: torch.dtype):
    """The name under which a runtime competes, and what it computes."""
    peer = RUNTIMES[number].peer(layer, x, dtype)
    assert peer.answer is not None
    return peer.name, peer.answer().values


@pytest.mark.parametrize("layer_class", LAYERS)
@pytest.mark.parametrize("number", range(len(RUNTIMES)), ids=[each.package for each in RUNTIMES])
def test_runtimes_agree(number, layer_class, elsewhere):
    if not RUNTIMES[number].is_installed:
        pytest.skip(f"{RUNTIMES[number].package} is not installed")
    layer, x = layer_class(I, H), torch.randn(T, B, I)
    name, found = elsewhere.submit(answer, number, layer, x, torch.float32).result(120)
    assert name == RUNTIMES[number].name
    for letter, right in zip(OUTPUTS[layer.mode], expected(layer, x), strict=True):
        assert_close(found[letter], right, letter)


@pytest.mark.parametrize("number", range(len(RUNTIMES)), ids=[each.package for each in RUNTIMES])
def test_who_cannot_compute_in_bfloat16_competes_in_float32_and_says_so(number, elsewhere):
    if not RUNTIMES[number].is_installed:
        pytest.skip(f"{RUNTIMES[number].package} is not installed")
    layer, x = nn.LSTM(I, H).bfloat16(), torch.randn(T, B, I).bfloat16()
    name, found = elsewhere.submit(answer, number, layer, x, torch.bfloat16).result(120)
    is_float32 = torch.bfloat16 not in RUNTIMES[number].dtypes
    assert name.endswith("(float32)") == is_float32
    assert_close(found["output"], expected(layer, x)[0].float(), dtype=torch.bfloat16)


@pytest.mark.parametrize(
    "options", [{"num_layers": 2}, {"bidirectional": True}, {"proj_size": 2}, {"bias": False}]
)
def test_layers_that_are_not_plain_are_refused(options):
    with pytest.raises(ValueError, match="expected one plain layer"):
        onnx_model(nn.LSTM(I, H, **options), T, B)
