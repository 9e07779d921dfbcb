"""Every quantity of every step, layer and direction, against an independent loop in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.engines.subjects import NAMES
from tests.nn.pairs import initial
from tests.tolerances import assert_close
from tests.tracing.models import LAYERS, LAYOUTS, LENGTHS, Loop, input_in, make
from tests.tracing.oracle import expected, kind_of, model_of, quantities
from torch import nn

import glasscell

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def in_layout(padded, layout):
    if layout == "batch_first":
        return padded.transpose(0, 1)
    return padded[:, 0] if layout == "unbatched" else padded


def assert_holds(trace, layer, oracle, layout, prefix=""):
    names = {f"{prefix}{name}": true for name, true in oracle.items()}
    assert set(trace.names) == set(names)
    for name, true in names.items():
        for quantity, value in quantities(true, kind_of(layer)).items():
            found = trace[name][quantity]
            right = in_layout(value, layout)
            assert_close(found, right, f"{name}.{quantity}")
            path = quantity.split(".")
            attribute = trace[name] if len(path) == 1 else trace[name].pre
            assert torch.equal(getattr(attribute, path[-1]), found)
        for quantity in ("h_n", "c_n"):
            last, right = getattr(trace[name].record, quantity), getattr(true, quantity)
            if right is not None:
                last = trace[name].layout.callers_states(last)
                assert_close(last, torch.from_numpy(right), f"{name}.{quantity}")


@pytest.mark.parametrize(
    ("shape", "with_hx"), [((1, False), True), ((2, True), True), ((3, False), False)], ids=str
)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_every_quantity(name, dtype, layout, shape, with_hx):
    options = {"num_layers": shape[0], "bidirectional": shape[1]}
    layer = make(name, dtype=dtype, batch_first=layout == "batch_first", **options)
    x = torch.randn(6, 5, 3, dtype=dtype)
    input, lengths = input_in(layout, x)
    B = 1 if layout == "unbatched" else 5
    hx = initial(layer, B, dtype) if with_hx else None
    given = hx
    if hx is not None and layout == "unbatched":
        given = tuple(h[:, 0] for h in hx) if isinstance(hx, tuple) else hx[:, 0]
    with glasscell.trace(layer) as trace:
        layer(input, given)
    assert_holds(trace, layer, expected(layer, x[:, :B], lengths, hx), layout)


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("glasscell")])
def test_lengths(name, batch_first, engine):
    layer = make(name, num_layers=2, bidirectional=True, batch_first=batch_first, engine=engine)
    x = torch.randn(6, 5, 3)
    with glasscell.trace(layer) as trace:
        layer(x.transpose(0, 1) if batch_first else x, lengths=LENGTHS)
    layout = "batch_first" if batch_first else "dense"
    assert_holds(trace, layer, expected(layer, x, LENGTHS), layout)
    assert trace["l0"].lengths.tolist() == LENGTHS


@pytest.mark.parametrize("name", ["torch.nn.LSTM", "glasscell.LSTM", "torch.nn.GRU"])
def test_hx_by_name(name):
    layer = make(name, dtype=torch.float64)
    x, hx = torch.randn(6, 5, 3, dtype=torch.float64), initial(layer, 5)
    with glasscell.trace(layer) as trace:
        layer(input=x, hx=hx)
    assert_holds(trace, layer, expected(layer, x, None, hx), "dense")


@pytest.mark.parametrize("library", [glasscell, nn])
@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("unbatched", [False, True])
def test_one_step_cells_are_shown_as_sequences(library, name, unbatched):
    model = Loop(getattr(library, name)(3, 4, dtype=torch.float64))
    x = torch.randn(6, 5, 3, dtype=torch.float64)
    x = x[:, :1] if unbatched else x
    with glasscell.trace(model) as trace:
        model(x[:, 0] if unbatched else x)
    assert trace.names == ("cell",)
    assert len(trace.calls("cell")) == 6

    oracle, kind = model_of(model.cell, ""), kind_of(model.cell)
    h: Any = np.zeros((x.shape[1], 4))
    c: Any = h
    for t in range(6):
        step = oracle.step(x[t].numpy(), h, c if kind == "lstm" else None)
        h, c = step.h, step.c if kind == "lstm" else c
        found = {"hidden": step.h} | ({"cell": step.c} if kind == "lstm" else {})
        for k, gate in enumerate(trace["cell"].gate_maps):
            found |= {gate.name: step.gates[:, k], f"pre.{gate.name}": step.pre[:, k]}
        for quantity, right in found.items():
            value = torch.from_numpy(np.ascontiguousarray(right))
            value = value[0] if unbatched else value
            assert_close(trace["cell"][quantity][t], value, quantity)
            assert_close(trace["cell", t][quantity][0] if not unbatched else
                         trace["cell", t][quantity].squeeze(0), value, quantity)  # fmt: skip
    assert_close(trace["cell"].record.h_n, torch.from_numpy(h), "h_n")
    if kind == "lstm":
        assert_close(trace["cell"].record.c_n, torch.from_numpy(c), "c_n")


@pytest.mark.parametrize("name", ["glasscell.LSTM", "torch.nn.LSTM", "torch.nn.GRU"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_sequence_at_a_time(name, layout):
    layer = make(name, bidirectional=True, batch_first=layout == "batch_first")
    x = torch.randn(6, 5, 3)
    input, lengths = input_in(layout, x)
    with glasscell.trace(layer) as trace:
        layer(input)
    for name in ("l0", "l0_reverse"):
        padded = trace[name].hidden
        for b, n in enumerate(lengths):
            one = trace[name].sequence("hidden", b)
            column = padded if layout == "unbatched" else (
                padded[b] if layout == "batch_first" else padded[:, b])  # fmt: skip
            assert torch.equal(one, column[:n])
            assert torch.equal(trace[name].sequence("hidden", b - len(lengths)), one)
        assert (
            sum(map(len, (trace[name].sequence("hidden", b) for b in range(len(lengths)))))
            == (trace[name].tokens("hidden").shape[0])
        )
    with pytest.raises(glasscell.InputError, match=r"b: expected a sequence of the batch, 0 to"):
        trace["l0"].sequence("hidden", len(lengths))


@pytest.mark.parametrize("name", ["glasscell.LSTM", "torch.nn.LSTM"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_initial_states_are_the_callers(name, layout):
    layer = make(name, num_layers=2, bidirectional=True, batch_first=layout == "batch_first")
    input, _ = input_in(layout, torch.randn(6, 5, 3))
    h_0, c_0 = initial(layer, None if layout == "unbatched" else 5, torch.float32)
    with glasscell.trace(layer) as trace:
        layer(input, (h_0, c_0))
    for k, name in enumerate(("l0", "l0_reverse", "l1", "l1_reverse")):
        assert torch.equal(trace[name].initial_hidden, h_0[k])
        assert torch.equal(trace[name].initial_cell, c_0[k])
        assert trace[name].reverse == bool(k % 2)


def test_known_answers():
    """All weights zero: gates are one half, the candidate is zero, the cell halves each step."""
    layer = nn.LSTM(3, 4)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
    c_0 = torch.full((1, 2, 4), 8.0)
    with glasscell.trace(layer) as trace:
        layer(torch.randn(4, 2, 3), (torch.zeros(1, 2, 4), c_0))
    l0 = trace["l0"]
    for gate in (l0.input_gate, l0.forget_gate, l0.output_gate):
        assert torch.equal(gate, torch.full((4, 2, 4), 0.5))
    assert torch.count_nonzero(l0.candidate) == 0
    assert l0.cell[:, 0, 0].tolist() == [4.0, 2.0, 1.0, 0.5]
    assert_close(l0.hidden[:, 0, 0], 0.5 * torch.tanh(torch.tensor([4.0, 2.0, 1.0, 0.5])))
    assert torch.count_nonzero(l0.pre.forget_gate) == 0
