"""Every engine against ONNX's reference evaluator: an oracle written by others."""

import numpy as np
import pytest
import torch
from tests.cells.zoo import SUBJECTS, as_numpy, independent
from tests.engines.naive import pack
from tests.engines.onnx_evaluator import evaluate
from tests.engines.subjects import ENGINES, NAMES
from tests.tolerances import assert_close

from glasscell import GRU, LSTM, RNN, ops
from glasscell.cells import Weights
from glasscell.engines import Call, Packing

T, I, H = 7, 3, 5
KNOWN_TO_ONNX = [name for name in SUBJECTS if "projected" not in name and "relu" not in name]
RUNS = [
    pytest.param(engine.name, name, id=f"{engine.name}-{name}")
    for engine in ENGINES
    for name in engine.subjects
    if name in KNOWN_TO_ONNX
]


@pytest.mark.parametrize("lengths", [[T, T, T], [7, 4, 4, 1]], ids=["dense", "sequence_lens"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(("engine", "name"), RUNS)
def test_one_direction(engine, name, reverse, lengths):
    subject, B = SUBJECTS[name], len(lengths)
    cell, w = subject.cell, subject.weights(I, H)
    x, h_0 = torch.randn(T, B, I).double(), torch.randn(B, H).double()
    c_0 = torch.randn(B, H).double() if cell.has_cell_state else None
    packing = Packing.from_lengths(torch.tensor(lengths))
    call = Call(cell, w, pack(x, lengths), packing, h_0, c_0, reverse, record=True)
    record = ops.run(call, engine)

    model = as_numpy(independent(cell, w))
    y = np.zeros((T, B, H))
    for b, n in enumerate(lengths):
        initial = [None if s is None else s[None, b : b + 1].numpy() for s in (h_0, c_0)]
        direction = "reverse" if reverse else "forward"
        found = evaluate([model], x[:n, b : b + 1].numpy(), *initial, direction)  # type: ignore[arg-type]
        y[:n, b] = found[0][:, 0, 0]
        assert_close(record.h_n[b], torch.from_numpy(found[1][0, 0]), f"h_n of sequence {b}")
        if record.c_n is not None:
            assert_close(record.c_n[b], torch.from_numpy(found[2][0, 0]), f"c_n of sequence {b}")
    assert_close(record.h, torch.from_numpy(pack(y, lengths)), "h")


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("layer_class", [LSTM, GRU, RNN])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "nobias"])
def test_both_directions_of_a_layer(layer_class, engine, bias):
    layer = layer_class(I, H, bias=bias, bidirectional=True, engine=engine).double()
    B = 4
    x, h_0, c_0 = torch.randn(T, B, I), torch.randn(2, B, H), torch.randn(2, B, H)
    x, h_0, c_0 = x.double(), h_0.double(), c_0.double()
    is_lstm = layer_class is LSTM
    output, last = layer(x, (h_0, c_0) if is_lstm else h_0)

    models = []
    for d in range(2):
        w = Weights(*layer.weights(0, bool(d)))
        models.append(as_numpy(independent(layer.cell, w)))
    initial = (h_0.numpy(), c_0.numpy() if is_lstm else None)
    y, *states = evaluate(models, x.numpy(), *initial, "bidirectional")
    assert_close(output, torch.from_numpy(y).transpose(1, 2).flatten(2), "output")
    for found, expected in zip(last if is_lstm else [last], states, strict=True):
        assert_close(found, torch.from_numpy(expected), "last state")
