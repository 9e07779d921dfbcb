"""Edits where their values, steps and modes are less plain."""

import threading

import pytest
import torch
from tests.tolerances import assert_close
from tests.tracing.models import Loop
from torch import nn
from torch.func import functional_call, grad, vmap

import glasscell
from glasscell.errors import InputError

T, B = 6, 3


def cells(lstm, x, lengths=None, **edit):
    with glasscell.edit(lstm, "l0", "cell", **edit), glasscell.trace(lstm) as trace:
        lstm(x, lengths=lengths)
    return trace["l0"].cell


@pytest.mark.parametrize("steps", [-1, slice(-1, None), [-1]])
def test_sequences_that_all_end_before_the_last_step(steps):
    lstm = glasscell.LSTM(3, 4)
    cell = cells(lstm, torch.randn(T, B, 3), [4] * B, steps=steps, set=9.0)
    assert (cell[3] == 9).all()
    assert (cell[:3] < 9).all()


def test_values_for_steps_that_short_sequences_do_not_have():
    lstm, x = glasscell.LSTM(3, 4), torch.randn(T, B, 3)
    values = torch.tensor([10.0, 20.0]).reshape(2, 1, 1)
    cell = cells(lstm, x, [4, 1, 3], steps=[-2, -1], set=values).detach()
    assert [float(cell[t, b, 0]) for t, b in ((2, 0), (3, 0), (0, 1), (1, 2), (2, 2))] == [
        10, 20, 20, 10, 20,
    ]  # fmt: skip
    with pytest.raises(InputError, match="expected 1 or 6 along the steps, got 2"):
        cells(lstm, x, [4, 1, 3], steps=slice(-2, None), set=values)
    same = cells(lstm, x, [4, 4, 3], steps=slice(-2, None), set=values).detach()
    assert [float(same[t, b, 0]) for t, b in ((2, 0), (3, 1), (1, 2), (2, 2))] == [10, 20, 10, 20]


def test_steps_that_no_sequence_has():
    lstm, x = glasscell.LSTM(3, 4), torch.randn(T, B, 3)
    for steps in (-5, [-1, 50]):
        with pytest.raises(InputError, match="steps: expected -4 to 5"):
            cells(lstm, x, [4, 1, 3], steps=steps, set=0.0)


def test_a_value_for_each_of_all_units_in_another_order_is_refused():
    lstm, x = glasscell.LSTM(3, 4), torch.randn(T, B, 3)
    with pytest.raises(InputError, match="in another order; give the units in order"):
        cells(lstm, x, units=[3, 2, 1, 0], set=torch.arange(4.0))
    assert (cells(lstm, x, units=[3, 2, 1, 0], set=1.5) == 1.5).all()


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_set_after_something_that_is_not_finite(value):
    lstm, x = glasscell.LSTM(3, 4), torch.randn(T, B, 3)
    with glasscell.edit(lstm, "l0", "hidden", set=value):
        with glasscell.edit(lstm, "l0", "hidden", set=1.0):
            assert (lstm(x)[0] == 1).all()
        assert not lstm(x)[0].isfinite().any()


@pytest.mark.parametrize("library", [glasscell, nn])
def test_steps_of_a_cell_are_counted_from_each_edit(library):
    cell = library.GRUCell(3, 4)
    x, h = torch.randn(T, B, 3), torch.zeros(B, 4)
    with glasscell.edit(cell, "cell", "hidden", units=0, add=0.0):
        for t in range(3):
            h = cell(x[t], h)
        with glasscell.edit(cell, "cell", "hidden", steps=1, set=7.0):
            first = cell(x[3], h)
            second = cell(x[4], first)
    assert (first.abs() < 1).all()
    assert (second == 7).all()


def test_a_value_for_each_chosen_step_of_a_cell_and_a_stream():
    cell = glasscell.RNNCell(3, 4)
    layer = glasscell.RNN(3, 4)
    x, values = torch.randn(T, B, 3), torch.tensor([1.0, 2.0]).reshape(2, 1, 1)
    for steps in ([1, 3], slice(1, 4, 2)):
        with glasscell.edit(cell, "cell", "hidden", steps=steps, set=values):
            outputs = Loop(cell)(x)
        assert [bool((outputs[t] == v).all()) for t, v in ((1, 1), (3, 2))] == [True, True]
        stream = glasscell.stream(layer)
        with glasscell.edit(layer, "l0", "hidden", steps=steps, set=values):
            outputs = [stream.step(x_t) for x_t in x]
        assert [bool((outputs[t] == v).all()) for t, v in ((1, 1), (3, 2))] == [True, True]


def test_a_stream_of_one_sequence_takes_values_from_a_trace_of_one():
    lstm = glasscell.LSTM(3, 4)
    x, y = torch.randn(2, T, 3)
    with glasscell.trace(lstm) as other:
        lstm(y)
    stream = glasscell.stream(lstm)
    with glasscell.edit(lstm, "l0", "cell", set=other["l0"].cell.detach()):
        wanted = lstm(x)[0]
        assert_close(torch.stack([stream.step(x_t) for x_t in x]), wanted)


# Modes


@pytest.mark.parametrize("begun_before", [True, False])
@pytest.mark.parametrize("library", [glasscell, nn])
@torch.no_grad()
def test_cells_in_a_compiled_model(library, begun_before):
    loop = Loop(library.LSTMCell(3, 4))
    compiled = torch.compile(loop, backend="eager")
    x = torch.randn(T, B, 3)
    if begun_before:
        compiled(x)
    with glasscell.edit(loop, "cell", "hidden", units=[1], set=0.5):
        edited = compiled(x)
    assert (edited[..., 1] == 0.5).all()
    assert_close(compiled(x), loop(x))
    torch._dynamo.reset()


def test_one_block_through_all_modes():
    """What one mode makes for itself is not left to the next."""
    lstm = glasscell.LSTM(3, 4, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    weights = dict(lstm.named_parameters())

    def loss(weights):
        return functional_call(lstm, weights, (x,))[0].sum()

    stacked = {name: torch.stack([w, 2 * w, 3 * w]) for name, w in weights.items()}
    with glasscell.edit(lstm, "l0", "cell", units=[0], set=0.25):
        with torch.inference_mode():
            wanted = lstm(x)[0].clone()
        output = lstm(x)[0]
        output.sum().backward()
        assert_close(grad(loss)(weights)["weight_hh_l0"], weights["weight_hh_l0"].grad)
        assert_close(lstm(x)[0], wanted)
        assert vmap(loss)({name: w[:2] for name, w in stacked.items()}).shape == (2,)
        assert vmap(loss)(stacked).shape == (3,)
        assert_close(lstm(x)[0], wanted)
    assert_close(output, wanted)


def test_a_batch_of_values():
    lstm = glasscell.LSTM(3, 4, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64)

    def run(value):
        with glasscell.edit(lstm, "l0", "cell", units=[2], steps=1, set=value):
            return lstm(x)[0]

    values = torch.rand(5, 1, dtype=torch.float64)
    assert_close(vmap(run)(values), torch.stack([run(value) for value in values]))


# What is not torch.nn's any more


def test_a_layer_with_a_forward_of_its_own_is_refused():
    class Doubled(nn.LSTM):
        def forward(self, input, hx=None):
            output, states = super().forward(input, hx)
            return 2 * output, states

    with (
        pytest.raises(InputError, match=r"Doubled: its forward is not torch\.nn's"),
        glasscell.edit(Doubled(3, 4), "l0", "cell", set=0.0),
    ):
        pass
    wrapped = nn.LSTM(3, 4)
    wrapped.forward = lambda *args: None  # type: ignore[method-assign]
    with pytest.raises(InputError, match="its forward"):
        glasscell.edit(wrapped, "l0", "cell", set=0.0).__enter__()


def test_a_failed_call_leaves_no_watch_behind():
    lstm = nn.LSTM(3, 4)
    x = torch.randn(T, B, 3)
    with glasscell.edit(lstm, "l0", "cell", set=0.0):
        with glasscell.trace(lstm) as trace:
            with pytest.raises((RuntimeError, ValueError)):
                lstm(torch.randn(T, B, 5))
            lstm(x)
        lstm(x)
        assert len(trace.calls("l0")) == 1


def test_threads_through_one_traced_layer():
    lstm = nn.LSTM(3, 4)
    x = torch.randn(T, B, 3)
    problems: list[BaseException] = []

    def run():
        try:
            for _ in range(20):
                lstm(x)
        except BaseException as error:
            problems.append(error)

    with glasscell.trace(lstm) as trace:
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert problems == []
    assert len(trace.calls("l0")) == 80
