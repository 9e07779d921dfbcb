"""Every engine, cell, dtype, direction and packing, against the independent loop.

Outputs, last states, gates, pre-activations and cell states of every step, and the gradient of
every input, with the loss on each of them alone and on all at once.
"""

from typing import Any

import numpy as np
import pytest
import torch
from tests.cells.zoo import SUBJECTS, as_numpy, independent
from tests.engines.calls import TARGETS, call_of, exact, gradients, has_a_jump, leaves, loss_on
from tests.engines.naive import pack, run_layer
from tests.engines.subjects import DEVICES, ENGINES
from tests.tolerances import assert_close, assert_same_bits

from glasscell import ops
from glasscell.cells import Weights
from glasscell.engines import Record

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
PACKINGS = {  # lengths longest first, I, H
    "dense": ([3] * 17, 3, 17),
    "ragged": ([5, 5, 3, 1, 1], 17, 3),
    "one-by-one": ([1], 1, 1),
    "one-step": ([1, 1, 1], 17, 3),
    "one-sequence": ([17], 3, 3),
    "steps-of-one": ([6, 3, 1], 1, 17),
}
LARGE = {"long": ([130] * 3, 3, 17), "wide": ([3] * 17, 17, 130), "many": ([3] * 99 + [1], 130, 3)}
RUNS = [
    pytest.param(engine.name, name, device, id=f"{engine.name}-{name}-{device}")
    for engine in ENGINES
    for name in engine.subjects
    for device in DEVICES
    if device in engine.devices
]
MATRIX = [
    pytest.param(
        engine.name,
        name,
        device,
        dtype,
        packing,
        id=f"{engine.name}-{name}-{device}-{dtype}-{packing}",
    )
    for engine in ENGINES
    for name in engine.subjects
    for device in DEVICES
    for dtype in DTYPES
    for packing in PACKINGS
    if device in engine.devices and dtype in engine.dtypes
    if dtype.itemsize > 2 or packing in ("dense", "ragged")
]

pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTM with projections is not supported with oneDNN",
    "ignore:RNN module weights are not part of single contiguous chunk",
)


def run_oracle(name: str, tensors: list, lengths: list[int], reverse: bool, arrays: bool) -> Record:
    x, h_0, c_0, *weights = tensors
    model = independent(SUBJECTS[name].cell, Weights(*weights))
    B, T = len(lengths), max(lengths)
    rows = torch.tensor([t * B + b for t in range(T) for b in range(B) if t < lengths[b]])
    zeros = x.new_zeros(T * B, x.shape[1])
    padded = zeros.index_put((rows,), x).unflatten(0, (T, B))
    if arrays:
        model = as_numpy(model)
        padded, h_0, c_0 = (t if t is None else t.detach().numpy() for t in (padded, h_0, c_0))
    layer = run_layer(model, padded, lengths, h_0, c_0, reverse)
    packed = {}
    for target in TARGETS:
        value = getattr(layer, target)
        if value is not None and target not in ("h_n", "c_n"):
            value = pack(value, lengths)
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        packed[target] = value
    return Record(**packed)


def check(engine, name, device, case, dtype, reverse, targets=TARGETS):
    lengths, tensors = case[0], tensors_of(name, case, dtype)
    call = call_of(name, [_to(t, device) for t in tensors], lengths, reverse)
    record = ops.run(call, engine)
    doubles = exact(tensors)
    oracle = run_oracle(name, doubles, lengths, reverse, arrays=False)
    for target in TARGETS:
        value, expected = getattr(record, target), getattr(oracle, target)
        assert value is None or value.dtype == dtype, f"{target} is {value.dtype}"
        assert_close(value, expected, target, dtype=dtype)

    if has_a_jump(name, dtype):
        return
    ds = loss_on(record, targets)
    found = gradients(record, ds, tensors)
    expected = gradients(oracle, {t: d.cpu().double() for t, d in ds.items()}, doubles)
    for letter, gradient in found.items():
        assert gradient.dtype == dtype
        assert_close(gradient, expected[letter], f"dL/d{letter}", dtype=dtype, kind="gradient")


def tensors_of(name, case, dtype):
    lengths, I, H = case
    H = max(H, 2) if SUBJECTS[name].projection else H  # P < H
    return leaves(name, lengths, I, H, dtype)


def _to(tensor: Any, device: str) -> Any:
    return None if tensor is None else tensor.to(device)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(("engine", "name", "device", "dtype", "packing"), MATRIX)
def test_matrix(engine, name, device, dtype, packing, reverse):
    check(engine, name, device, PACKINGS[packing], dtype, reverse)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(("engine", "name", "device"), RUNS)
def test_loss_on_each_quantity_alone(engine, name, device, reverse):
    for target in TARGETS:
        if SUBJECTS[name].cell.has_cell_state or target not in ("c", "c_n"):
            check(engine, name, device, PACKINGS["ragged"], torch.float64, reverse, (target,))


@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize(("engine", "name", "device"), RUNS)
def test_large_sizes(engine, name, device, size):
    check(engine, name, device, LARGE[size], torch.float32, reverse=size == "long")


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("packing", ["dense", "ragged"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_the_oracle_itself_gives_the_same_in_numpy(name, packing, reverse):
    lengths, tensors = PACKINGS[packing][0], tensors_of(name, PACKINGS[packing], torch.float64)
    tensors_oracle = run_oracle(name, tensors, lengths, reverse, arrays=False)
    arrays_oracle = run_oracle(name, tensors, lengths, reverse, arrays=True)
    for target in TARGETS:
        assert_close(getattr(tensors_oracle, target), getattr(arrays_oracle, target), target)


@pytest.mark.parametrize(("engine", "name", "device"), RUNS)
def test_without_recording_the_outputs_are_the_same_bits(engine, name, device):
    lengths, tensors = PACKINGS["ragged"][0], tensors_of(name, PACKINGS["ragged"], torch.float32)
    tensors = [_to(t, device) for t in tensors]
    plain = ops.run(call_of(name, tensors, lengths, record=False), engine)
    recorded = ops.run(call_of(name, tensors, lengths), engine)
    for target in ("h", "h_n", "c_n"):
        assert_same_bits(getattr(plain, target), getattr(recorded, target))
