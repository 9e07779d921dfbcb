"""Replay: the scan and its derivatives, exactness, and memory that must not leak through."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.cells.zoo import SUBJECTS, as_numpy, independent
from tests.engines.naive import pack, run_layer
from tests.engines.subjects import NAMES
from tests.tolerances import assert_close

from glasscell import GRU, LSTM, RNN
from glasscell.cells import Weights
from glasscell.engines import Call, Packing, can_replay, replay
from glasscell.engines.replay import Scan, scan

LENGTHS = {"dense": [4, 4, 4], "ragged": [5, 3, 3, 1], "one": [6]}
REPLAYABLE = [name for name in SUBJECTS if "peephole" not in name]


def packing_of(lengths):
    return Packing.from_lengths(torch.tensor(lengths))


def scan_inputs(lengths, H=3):
    N, B = sum(lengths), len(lengths)
    f = torch.rand(N, H, dtype=torch.float64)
    u, c_0 = torch.randn(N, H, dtype=torch.float64), torch.randn(B, H, dtype=torch.float64)
    return [t.requires_grad_() for t in (f, u, c_0)]


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("case", LENGTHS)
def test_the_scan_is_a_loop_over_each_sequence(case, reverse):
    lengths = LENGTHS[case]
    f, u, c_0 = scan_inputs(lengths)
    rows = {(t, b): k for b, n in enumerate(lengths) for t in range(n)
            for k in [sum(min(m, t) for m in lengths) + b]}  # fmt: skip
    expected = np.zeros(u.shape)
    for b, n in enumerate(lengths):
        c = c_0[b].detach().numpy()
        for t in reversed(range(n)) if reverse else range(n):
            k = rows[t, b]
            c = f[k].detach().numpy() * c + u[k].detach().numpy()
            expected[k] = c
    found = Scan.apply(f, u, c_0, packing_of(lengths), reverse)
    assert_close(found, torch.from_numpy(expected))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("case", LENGTHS)
def test_the_scan_can_be_differentiated_twice(case, reverse):
    inputs = scan_inputs(LENGTHS[case], H=2)
    packing = packing_of(LENGTHS[case])
    run = lambda f, u, c_0: Scan.apply(f, u, c_0, packing, reverse)  # noqa: E731
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


def replayed(name: str, lengths: list[int], reverse: bool, dtype: torch.dtype, I=5, H=17):
    """A replay from the true hidden states rounded to dtype, and the true record (float64)."""
    subject, B = SUBJECTS[name], len(lengths)
    cell = subject.cell
    states: list[Any] = [torch.randn(max(lengths), B, I), torch.randn(B, subject.P(H))]
    states.append(torch.randn(B, H) if cell.has_cell_state else None)
    tensors: Any = subject.weights(I, H)
    weights: list[Any] = [t if t is None else t.detach().to(dtype) for t in tensors]
    w = Weights(*weights)
    states = [t if t is None else t.to(dtype) for t in states]
    x, h_0, c_0 = states
    arrays = [t if t is None else t.double().numpy() for t in (x, h_0, c_0)]
    model = as_numpy(independent(cell, w))
    true = run_layer(model, arrays[0], lengths, arrays[1], arrays[2], reverse)
    packing = packing_of(lengths)
    call = Call(cell, w, pack(x, lengths), packing, h_0, c_0, reverse, record=True)
    return replay(call, torch.from_numpy(pack(true.h, lengths)).to(dtype)), true


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", REPLAYABLE)
def test_a_replay_gives_back_what_the_hidden_states_came_from(name, dtype, reverse):
    lengths = [130, 17, 3, 1]
    record, true = replayed(name, lengths, reverse, dtype)
    for quantity in ("gates", "pre", "c"):
        value, expected = getattr(record, quantity), getattr(true, quantity)
        expected = None if expected is None else torch.from_numpy(pack(expected, lengths))
        assert value is None or value.dtype == dtype
        assert_close(value, expected, quantity)


@pytest.mark.parametrize("layer_class", [LSTM, GRU, RNN])
def test_replay_is_exact_to_a_few_units_of_rounding(layer_class):
    """At the size of a real model: gates of PyTorch's own operation against float64 throughout."""
    torch.manual_seed(0)
    layer = layer_class(64, 128, engine="torch")
    records = []
    layer.register_record_hook(lambda _, found: records.append(found[0].record))
    x = torch.randn(100, 8, 64)
    layer(x)
    layer.double().engine = "reference"
    layer(x.double())
    fast, exact = records
    for quantity in ("gates", "c", "h"):
        if getattr(exact, quantity) is not None:
            difference = (getattr(fast, quantity) - getattr(exact, quantity)).abs().max()
            assert difference < 1e-6, f"{quantity}: {difference:.1e}"


def test_a_replay_gives_h_back_untouched():
    record, _ = replayed("lstm", [4, 2], False, torch.float32)
    call_h = record.h
    assert replayed("lstm", [4, 2], False, torch.float32)[0].h.dtype == call_h.dtype
    layer = LSTM(3, 4, engine="torch")
    records = []
    layer.register_record_hook(lambda _, found: records.extend(found))
    output, _ = layer(torch.randn(5, 2, 3))
    assert torch.equal(records[0].record.h, output.flatten(0, 1))


@pytest.mark.parametrize("name", SUBJECTS)
def test_what_can_be_replayed_is_what_does_not_peek(name):
    assert can_replay(SUBJECTS[name].cell) == (name in REPLAYABLE)


@pytest.fixture
def poisoned(monkeypatch):
    """Fresh memory holds NaN, so that reading what nobody wrote shows."""

    def filled(original):
        def poison(*args, **kwargs):
            memory = original(*args, **kwargs)
            return memory.fill_(float("nan")) if memory.is_floating_point() else memory

        return poison

    for name in ("empty", "empty_like", "empty_strided"):
        monkeypatch.setattr(torch, name, filled(getattr(torch, name)))
    for name in ("new_empty",):
        monkeypatch.setattr(torch.Tensor, name, filled(getattr(torch.Tensor, name)))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("case", LENGTHS)
def test_nothing_of_fresh_memory_is_read_by_the_scan(poisoned, case, reverse):
    with torch.no_grad():
        f, u, c_0 = scan_inputs(LENGTHS[case])
        assert torch.isfinite(scan(f, u, c_0, packing_of(LENGTHS[case]), reverse)).all()


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("lengths", [None, [3, 5, 1]], ids=["dense", "ragged"])
@pytest.mark.parametrize("layer_class", [LSTM, GRU, RNN])
def test_nothing_of_fresh_memory_reaches_a_record_or_gradient(
    layer_class, engine, lengths, poisoned
):
    layer = layer_class(3, 4, num_layers=2, bidirectional=True, engine=engine)
    records = []
    layer.register_record_hook(lambda _, found: records.extend(found))
    x = torch.randn(5, 3, 3, requires_grad=True)
    output, _ = layer(x, lengths=lengths)
    loss = output.square().sum()
    for each in records:
        for value in each.record:
            if value is not None:
                assert torch.isfinite(value).all()
                loss = loss + value.square().sum()
    loss.backward()
    for tensor in (x, *layer.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
