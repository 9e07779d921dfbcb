"""Edits by layer, quantity, unit, step and sequence, against the naive loop in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.cells.equations import LETTERS
from tests.tolerances import assert_close, assert_same_bits
from tests.tracing.models import LAYERS, LAYOUTS, Tagger, input_in, make
from tests.tracing.oracle import NAMES, expected, kind_of
from torch import nn

import glasscell
from glasscell.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

T, B = 6, 5
UNITS = {"none": None, "one": 1, "list": [0, 1], "slice": slice(1, None), "last": -1}
STEPS = {"none": None, "one": 2, "list": [0, 3], "slice": slice(1, 4), "end": slice(-2, None)}


def letter_of(kind: str, quantity: str) -> str:
    if quantity in ("cell", "hidden"):
        return quantity[0]
    return LETTERS[kind][NAMES[kind].index(quantity)]


def places(index, size: int) -> list[int]:
    """What an index means, by Python's own rules."""
    if index is None:
        return list(range(size))
    if isinstance(index, slice):
        return list(range(size))[index]
    numbers = [index] if isinstance(index, int) else index
    return [list(range(size))[k] for k in numbers if k < size]


def changed(way: str, value, number):
    return {"set": number, "scale": value * number, "add": value + number}[way]


def oracle(layer, x, lengths, name, quantity, units, steps, batch, way, number):
    letter = letter_of(kind_of(layer), quantity)

    def edit(of: str, t: int, of_letter: str, value: np.ndarray) -> np.ndarray:
        value = value.copy()
        if (of, of_letter) == (name, letter):
            for b in places(batch, len(lengths)):
                if t < lengths[b] and t in places(steps, lengths[b]):
                    for u in places(units, value.shape[1]):
                        value[b, u] = changed(way, value[b, u], number)
        return value

    return expected(layer, x, lengths, edit=edit)


def in_layout(padded: np.ndarray, layout: str) -> torch.Tensor:
    shown = torch.from_numpy(np.ascontiguousarray(padded))
    if layout == "unbatched":
        return shown[:, 0]
    return shown.transpose(0, 1) if layout == "batch_first" else shown


def check(layer: Any, layout: str, name: str, quantity: str, way: str, number: float, **where: Any):
    x = torch.randn(T, B, 3, dtype=torch.float64)
    input, lengths = input_in(layout, x)
    x = x[:, : len(lengths)]
    places = {"units": None, "steps": None, "batch": None, **where}
    wanted = oracle(layer, x, lengths, name, quantity, **places, way=way, number=number)
    given: Any = {**where, way: number}
    with (
        glasscell.edit(layer, name, quantity, **given),
        glasscell.trace(layer) as trace,
    ):
        output = layer(input)[0]
    for each, found in trace.items():
        for k, gate in enumerate(NAMES[kind_of(layer)]):
            assert_close(found[gate], in_layout(wanted[each].gates[:, :, k], layout), gate)
        assert_close(found.hidden, in_layout(wanted[each].h, layout), "hidden")
        if wanted[each].c is not None:
            assert_close(found.cell, in_layout(wanted[each].c, layout), "cell")
    last = [wanted[each].h for each in wanted][-2 if layer.bidirectional else -1 :]
    if isinstance(output, nn.utils.rnn.PackedSequence):
        output = nn.utils.rnn.pad_packed_sequence(output)[0]
    assert_close(output, in_layout(np.concatenate(last, -1), layout), "output")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", LAYERS)
def test_every_quantity_in_every_layout(name, layout):
    layer = make(name, num_layers=2, bidirectional=True, batch_first=layout == "batch_first",
                 dtype=torch.float64)  # fmt: skip
    kind = kind_of(layer)
    states = ("cell", "hidden") if kind == "lstm" else ("hidden",)
    quantities: dict[str, None] = dict.fromkeys((*NAMES[kind], *states))
    batch = None if layout == "unbatched" else [3, 1]
    for k, quantity in enumerate(quantities):
        for way, number in (("set", 0.75), ("scale", -0.5), ("add", 0.25)):
            where = ("l0", "l0_reverse", "l1", "l1_reverse")[k % 4]
            check(layer, layout, where, quantity, way, number, units=[1], steps=[0, 2], batch=batch)


@pytest.mark.parametrize("layout", ["dense", "packed-unsorted", "unbatched"])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("units", UNITS)
def test_every_kind_of_index(units, steps, layout):
    layer = make("glasscell.LSTM", dtype=torch.float64)
    where = {"units": UNITS[units], "steps": STEPS[steps]}
    if steps == "one" and layout == "packed-unsorted":
        where["batch"] = slice(None, None, 2)
    check(layer, layout, "l0", "cell", "set", 0.5, **where)


def test_lengths_and_steps_from_each_end():
    lstm = glasscell.LSTM(3, 4, dtype=torch.float64)
    x, lengths = torch.randn(T, B, 3, dtype=torch.float64), [3, 6, 1, 2, 6]
    with glasscell.edit(lstm, "l0", "cell", steps=-1, set=9.0), glasscell.trace(lstm) as trace:
        lstm(x, lengths=lengths)
    cell = trace["l0"].cell
    for b, length in enumerate(lengths):
        assert (cell[length - 1, b] == 9).all()
        assert (cell[: length - 1, b].abs() < 2).all()
        assert (cell[length:, b] == 0).all()


# Values


def edited_cell(lstm, x, **edit):
    with glasscell.edit(lstm, "l0", "cell", **edit), glasscell.trace(lstm) as trace:
        lstm(x)
    return trace["l0"].cell


@pytest.mark.parametrize("batch_first", [False, True])
def test_values_along_each_dimension(batch_first):
    """Along steps, batch and units: one for all, one for each chosen, or one for each there is."""
    H = 4
    lstm = glasscell.LSTM(3, H, batch_first=batch_first)
    x = torch.randn(*((B, T) if batch_first else (T, B)), 3)
    units, steps, batch = [2, 0], [4, 1, 3], [1, 4]
    plain = edited_cell(lstm, x, scale=1.0)

    def steps_first(padded):
        return padded.transpose(0, 1) if batch_first else padded

    for n_steps in (1, 3, T):
        for n_batch in (1, 2, B):
            for n_units in (1, 2, H):
                values = torch.rand(n_steps, n_batch, n_units)
                found = steps_first(
                    edited_cell(
                        lstm, x, units=units, steps=steps, batch=batch, set=steps_first(values)
                    )
                )
                for k, t in enumerate(steps):
                    for m, b in enumerate(batch):
                        for j, u in enumerate(units):
                            at = [
                                0 if n == 1 else chosen if n < full else place
                                for n, chosen, place, full in (
                                    (n_steps, k, t, T),
                                    (n_batch, m, b, B),
                                    (n_units, j, u, H),
                                )
                            ]
                            assert found[t, b, u] == values[tuple(at)]
    untouched = steps_first(edited_cell(lstm, x, units=units, steps=steps, batch=batch, set=0.5))
    others = [b for b in range(B) if b not in batch]
    assert torch.equal(untouched[:, others], steps_first(plain)[:, others])


def test_a_value_from_another_run_fits_as_it_is():
    """The whole state of another run, put in at one step, makes what follows that run's own."""
    for name in ("glasscell.LSTM", "torch.nn.LSTM", "glasscell.GRU"):
        layer = make(name, dtype=torch.float64)
        x, y = torch.randn(2, T, B, 3, dtype=torch.float64)
        y[3:] = x[3:]  # the same from step 3 on
        with glasscell.trace(layer) as other:
            layer(y)
        state = "hidden" if "GRU" in name else "cell"
        edits = [
            glasscell.Edit("l0", quantity, steps=2, set=other["l0"][quantity].detach())
            for quantity in dict.fromkeys((state, "hidden"))
        ]
        with glasscell.edit(layer, edits):
            output = layer(x)[0]
        assert_close(output[2:], layer(y)[0][2:])
        assert_close(output[:2], layer(x)[0][:2])


def test_the_gradient_of_what_is_put_in():
    for name in ("glasscell.LSTM", "torch.nn.LSTM", "glasscell.GRU", "glasscell.RNN"):
        layer = make(name, dtype=torch.float64)
        x = torch.randn(T, B, 3, dtype=torch.float64)
        for way in ("set", "scale", "add"):
            values = torch.rand(2, 1, 3, dtype=torch.float64, requires_grad=True)

            def run(values, x, layer=layer, way=way):
                with glasscell.edit(
                    layer, "l0", "hidden", units=[0, 1, 3], steps=[1, 3], **{way: values}
                ):
                    return layer(x)[0]

            assert torch.autograd.gradcheck(run, (values, x.requires_grad_()))


# Several


def test_edits_act_in_order_and_end():
    lstm = glasscell.LSTM(3, 4)
    x = torch.randn(T, B, 3)
    plain = lstm(x)[0]
    with glasscell.edit(lstm, "l0", "cell", steps=[2], set=1.0):
        with glasscell.edit(lstm, "l0", "cell", scale=2.0), glasscell.trace(lstm) as trace:
            lstm(x)
        assert (trace["l0"].cell[2] == 2).all()
        with glasscell.edit(lstm, "l0", "cell", add=0.5), glasscell.trace(lstm) as trace:
            lstm(x)
        assert (trace["l0"].cell[2] == 1.5).all()
        with glasscell.trace(lstm) as trace:
            lstm(x)
        assert (trace["l0"].cell[2] == 1).all()
    assert_same_bits(lstm(x)[0], plain)


@pytest.mark.parametrize("library", [glasscell, nn])
def test_different_quantities_at_once(library):
    lstm = library.LSTM(3, 4)
    x = torch.randn(T, B, 3)
    with (
        glasscell.edit(lstm, "l0", "forget_gate", set=1.0),
        glasscell.edit(lstm, "l0", "input_gate", set=0.0),
        glasscell.trace(lstm) as trace,
    ):
        _, (_, c_n) = lstm(x, (torch.zeros(1, B, 4), torch.full((1, B, 4), 3.0)))
    assert (c_n == 3).all()  # nothing is lost and nothing is added
    assert (trace["l0"].cell == 3).all()


@pytest.mark.parametrize("outer", ["trace", "edit"])
@pytest.mark.parametrize("library", [glasscell, nn])
def test_a_trace_shows_the_edit_whichever_began_first(library, outer):
    gru = library.GRU(3, 4)
    x = torch.randn(T, B, 3)
    trace = glasscell.trace(gru)
    edit = glasscell.edit(gru, "l0", "update_gate", units=[1], set=0.25)
    first, second = (trace, edit) if outer == "trace" else (edit, trace)
    with first, second:
        y = gru(x)[0]
    assert (trace["l0"].update_gate[..., 1] == 0.25).all()
    z, n = trace["l0"].update_gate[1:], trace["l0"].candidate[1:]
    assert_close(trace["l0"].hidden[1:], (1 - z) * n + z * trace["l0"].hidden[:-1])
    assert_same_bits(trace["l0"].hidden, y)
    pre = trace["l0"].pre.update_gate
    assert not (pre[..., 1].sigmoid() == 0.25).any()  # what went in is as it was
    with trace:
        gru(x)
    assert not (trace["l0"].update_gate[..., 1] == 0.25).any()


@pytest.mark.parametrize("recording", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_an_edit_by_the_other_engine_is_the_same(name, recording):
    if not name.startswith("glasscell"):
        return
    layer = make(name, num_layers=2)
    x = torch.randn(T, B, 3)
    outputs = []
    for engine in ("auto", "reference"):
        layer.engine = engine
        with glasscell.edit(layer, "l0", "hidden", units=[1], steps=slice(1, 3), scale=0.5):
            if recording:
                with glasscell.trace(layer):
                    outputs.append(layer(x)[0])
            else:
                outputs.append(layer(x)[0])
    assert_close(outputs[0], outputs[1])


def test_patterns_name_several_layers():
    model = Tagger(glasscell.LSTM(3, 4), nn.LSTM(4, 4))
    tokens = torch.randint(11, (T, B))
    with glasscell.edit(model, "*", "forget_gate", set=0.5), glasscell.trace(model) as trace:
        model(tokens)
    for name in ("encoder.l0", "stack.decoder.l0"):
        assert (trace[name].forget_gate == 0.5).all()


def test_the_lstm_of_1997_has_no_forget_gate():
    """f = 1 for every step, and no gradient to the forget gate's weights."""
    lstm = glasscell.LSTM(3, 4)
    with glasscell.edit(lstm, "l0", "forget_gate", set=1.0):
        lstm(torch.randn(T, B, 3))[0].sum().backward()
    for weight in lstm.parameters():
        assert weight.grad is not None
        assert (weight.grad[4:8] == 0).all()
        assert (weight.grad[:4].abs().sum() > 0).all()


# Errors


def test_what_is_not_there():
    model = Tagger(glasscell.LSTM(3, 4), nn.GRU(4, 4))
    tokens = torch.randint(11, (T, B))
    with pytest.raises(InputError, match=r"layer: expected one of encoder\.l0, stack\.decoder\.l0"):
        glasscell.edit(model, "encoder.l1", "cell", set=0.0)
    with pytest.raises(InputError, match=r"quantity: expected one of reset_gate, .*got 'cell'"):
        glasscell.edit(model, "stack.decoder.l0", "cell", set=0.0)
    with pytest.raises(InputError, match=r"units: expected -4 to 3, got 4"):
        glasscell.edit(model, "encoder.l0", "cell", units=[4], set=0.0)
    with pytest.raises(InputError, match="no LSTM, GRU or RNN"):
        glasscell.edit(nn.Linear(2, 2), "l0", "cell", set=0.0)
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"steps": [6]}, r"steps: expected -6 to 5, got 6"),
        ({"batch": 5}, r"batch: expected -5 to 4, got 5"),
        ({"steps": [0, 1], "set": torch.zeros(3, 1, 4)}, r"expected 1 or 2 or 6 along the steps"),
        ({"set": torch.zeros(1, 1, 4, 1)}, r"at most 3 dimensions"),
    )
    for where, match in wrong:
        given: dict[str, Any] = {"set": 0.0} | where
        with (
            glasscell.edit(model, "encoder.l0", "cell", **given),
            pytest.raises(InputError, match=match),
        ):
            model(tokens)
    plain = model(tokens)
    assert_same_bits(model(tokens), plain)


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({}, InputError, "set, scale, add: expected one of them, got none"),
        ({"set": 1.0, "add": 1.0}, InputError, "got set and add"),
        ({"set": "1"}, TypeError, "set: expected a number"),
        ({"set": True}, TypeError, "set: expected a number"),
        ({"scale": float("nan")}, InputError, "scale: expected numbers"),
        ({"set": torch.tensor([True])}, TypeError, "set: expected real numbers"),
        ({"set": 1.0, "units": 1.5}, TypeError, "units: expected a whole number"),
        ({"set": 1.0, "units": ["a"]}, TypeError, "units: expected a whole number"),
        ({"set": 1.0, "steps": slice("a", None)}, TypeError, "steps: expected"),
        ({"set": 1.0, "batch": True}, TypeError, "batch: expected"),
    ],
)
def test_what_is_no_edit(given, error, match):
    with pytest.raises(error, match=match):
        glasscell.edit(glasscell.LSTM(3, 4), "l0", "cell", **given)


def test_what_is_no_model_or_no_layer_name():
    lstm = glasscell.LSTM(3, 4)
    with pytest.raises(TypeError, match=r"model: expected a torch\.nn\.Module"):
        glasscell.edit("model", "l0", "cell", set=0.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="quantity: expected its name"):
        glasscell.edit(lstm, "l0", set=0.0)
    with pytest.raises(TypeError, match="expected a name beside other arguments"):
        glasscell.edit(lstm, [glasscell.Edit("l0", "cell", set=0.0)], set=0.0)
    with pytest.raises(TypeError, match="an Edit or several"):
        glasscell.edit(lstm, ["l0"])  # type: ignore[list-item]
    editing = glasscell.edit(lstm, "l0", "cell", set=0.0)
    with editing, pytest.raises(RuntimeError, match="hold already"):
        editing.__enter__()


def test_an_edit_that_fails_in_the_middle_leaves_nothing_behind():
    model = Tagger(glasscell.LSTM(3, 4), nn.GRU(4, 4))
    tokens = torch.randint(11, (T, B))
    plain = model(tokens)
    with (
        pytest.raises(ZeroDivisionError),
        glasscell.edit(model, "*", "hidden", set=0.0),
    ):
        raise ZeroDivisionError
    assert_same_bits(model(tokens), plain)
