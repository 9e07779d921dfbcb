"""Gate maps and squashes: formulas, and being values that can be compared, copied and stored."""

import copy
import math
import pickle
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from tests.cells.zoo import FORGET_PEEPHOLE, RELU_RNN, SUBJECTS
from tests.tolerances import assert_close

from glasscell.cells import (
    GRU,
    LSTM,
    RNN,
    SIGMOID,
    SQUASHES,
    TANH,
    Squash,
    StepGradient,
    Weights,
    with_peepholes,
)

POINTS = [-30.0, -2.5, -1e-3, 0.0, 1e-3, 0.7, 4.0, 30.0]
FORMULAS = {
    "sigmoid": lambda v: 1 / (1 + math.exp(-v)),
    "tanh": math.tanh,
    "relu": lambda v: max(v, 0.0),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_squash_is_its_formula(name):
    v = torch.tensor(POINTS, dtype=torch.float64)
    expected = torch.tensor([FORMULAS[name](p) for p in POINTS], dtype=torch.float64)
    assert_close(SQUASHES[name].apply(v), expected)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_slope_of_the_output_is_the_derivative_at_the_input(name):
    v = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    y = SQUASHES[name].apply(v)
    (expected,) = torch.autograd.grad(y.sum(), v)
    assert_close(SQUASHES[name].slope(y.detach()), expected)


def test_slopes_at_points_with_known_answers():
    one = torch.ones((), dtype=torch.float64)
    assert SIGMOID.slope(0.5 * one) == 0.25
    assert TANH.slope(0 * one) == 1
    assert SQUASHES["relu"].slope(0 * one) == 0
    assert SQUASHES["relu"].slope(3 * one) == 1


@pytest.mark.parametrize("name", FORMULAS)
def test_a_slope_keeps_its_dtype(name):
    y = torch.tensor([0.25, 0.5], dtype=torch.bfloat16)
    assert SQUASHES[name].slope(y).dtype == torch.bfloat16


def test_the_gates_are_pytorchs_in_pytorchs_order():
    assert [gate.letter for gate in LSTM().gates] == list("ifgo")
    assert [gate.letter for gate in GRU().gates] == list("rzn")
    assert [gate.letter for gate in RNN().gates] == ["h"]
    assert (LSTM().G, GRU().G, RNN().G) == (4, 3, 1)


def test_what_can_be_read_of_a_cell_is_named_in_words():
    gates = ("input_gate", "forget_gate", "candidate", "output_gate")
    assert LSTM().quantities == (*gates, "cell", "hidden")
    assert GRU().quantities == ("reset_gate", "update_gate", "candidate", "hidden")
    assert RNN().quantities == ("hidden",)


def test_peepholes_are_part_of_the_gate_map():
    assert LSTM().peepholes == ()
    cell = with_peepholes(LSTM())
    assert cell.peepholes == ("input_gate", "forget_gate", "output_gate")
    assert [gate.peephole for gate in cell.gates] == ["c_prev", "c_prev", None, "c"]
    assert FORGET_PEEPHOLE.peepholes == ("forget_gate",)


def test_cells_are_equal_when_their_gates_are():
    assert LSTM() == LSTM()
    assert hash(LSTM()) == hash(LSTM())
    assert RNN() != RELU_RNN
    assert LSTM() != with_peepholes(LSTM())
    assert with_peepholes(LSTM()) == with_peepholes(LSTM())
    assert len({LSTM(), GRU(), RNN(), RELU_RNN, with_peepholes(LSTM()), FORGET_PEEPHOLE}) == 6


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("through", ["pickle", "deepcopy", "copy"])
def test_a_copy_is_the_same_cell(name, through):
    cell = SUBJECTS[name].cell
    again = {
        "pickle": lambda: pickle.loads(pickle.dumps(cell)),
        "deepcopy": lambda: copy.deepcopy(cell),
        "copy": lambda: copy.copy(cell),
    }[through]()
    assert again == cell
    assert hash(again) == hash(cell)
    for gate, original in zip(again.gates, cell.gates, strict=True):
        assert gate.squash is original.squash


def test_a_definition_cannot_be_changed_by_accident():
    with pytest.raises(FrozenInstanceError):
        LSTM().forget_gate = LSTM().input_gate  # type: ignore[misc]


@pytest.mark.parametrize(
    ("cell", "field", "reads"),
    [
        (LSTM(), "input_gate", ("h",)),
        (LSTM(), "forget_gate", ("x", "h", "c")),
        (LSTM(), "candidate", ("x", "h", "c_prev")),
        (LSTM(), "output_gate", ("x", "h", "c_prev")),
        (GRU(), "reset_gate", ("h",)),
        (RNN(), "hidden", ("x", "h", "c")),
    ],
)
def test_a_gate_that_reads_what_the_equations_do_not_give_it_is_refused(cell, field, reads):
    with pytest.raises(ValueError, match=f"{field}: .* got .*{reads[-1]}"):
        replace(cell, **{field: replace(getattr(cell, field), reads=reads)})


def test_all_gates_of_a_cell_read_the_hidden_state_or_none_does():
    gate = LSTM().input_gate
    assert gate is not None
    alone = replace(gate, reads=("x",))
    with pytest.raises(ValueError, match="to read h or none, got it for forget_gate, candidate"):
        replace(LSTM(), input_gate=alone)


def test_a_squash_of_ones_own_survives_copying():
    softsign = Squash("softsign", softsign_apply, softsign_slope, (-1, 1))
    cell = LSTM(output_squash=softsign)
    assert copy.deepcopy(cell) == cell
    assert pickle.loads(pickle.dumps(cell)) == cell
    assert copy.deepcopy(LSTM()).candidate.squash is TANH


def test_the_output_squash_is_part_of_the_step_and_of_its_backward():
    cell = LSTM(output_squash=Squash("softsign", softsign_apply, softsign_slope, (-1, 1)))
    x, h, c = (torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(3))
    w = Weights(*(torch.randn(12, 3, dtype=torch.float64) for _ in range(2)))
    step = cell.step(x, h, c, w)
    assert step.c is not None
    torch.testing.assert_close(step.h, step.gates[:, 3] * step.c / (1 + step.c.abs()))
    d_h, d_c = torch.randn_like(step.h), torch.randn_like(step.c)
    dh, dc = torch.autograd.grad([step.h, step.c], [h, c], [d_h, d_c])
    back = cell.step_backward(StepGradient(d_h, d_c), step, x, h, c, w)
    torch.testing.assert_close(back.dh_prev, dh)
    torch.testing.assert_close(back.dc_prev, dc)


def softsign_apply(v):
    return v / (1 + v.abs())


def softsign_slope(y):
    return (1 - y.abs()) ** 2
