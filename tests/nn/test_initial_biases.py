"""The biases of the gate that keeps the state: forget bias and chrono, for every cell."""

import math

import pytest
import torch
from tests.nn.first_weights import KEEPING, bias_of, fits, generator, uniform, weights

from glasscell import InputError
from glasscell.cells import (
    HARD_SIGMOID,
    RELU,
    SIGMOID,
    SLSTM,
    TANH,
    VARIANTS,
    Custom,
    GateMap,
    named,
)
from glasscell.nn import initial


@pytest.mark.parametrize("name", KEEPING)
def test_the_forget_bias_is_the_sum(name):
    """Only the keeping gate's biases change, and their sum is the value, or its opposite."""
    cell, H = VARIANTS[name], 4
    w = weights(cell, fill=0.25)
    initial.set_forget_bias(cell, w, 1.5)
    keeps, sign = KEEPING[name]
    for gate in cell.gates:
        untouched = bias_of(cell, weights(cell, fill=0.25), gate.name, H)
        expected = torch.full((H,), 1.5 * sign) if gate.name == keeps else untouched
        assert torch.equal(bias_of(cell, w, gate.name, H), expected)
    for letter in ("W", "U", "p", "S", "a", "a_c"):
        weight = getattr(w, letter)
        assert weight is None or (weight == 0.25).all()


# an sLSTM's c alone shrinks and grows with its normalizer
@pytest.mark.parametrize("name", [name for name in KEEPING if name != "slstm"])
def test_a_greater_forget_bias_keeps_more_of_the_state(name):
    """Whatever the cell: from nothing, with no weights, more of the state is left after a step."""
    cell = VARIANTS[name]
    found = []
    for value in (-2.0, 0.0, 2.0):
        w = weights(cell, fill=0.0)
        if w.a_c is not None:  # of a layer-normalised cell only c is looked at
            torch.nn.init.ones_(w.a_c)
        initial.set_forget_bias(cell, w, value)
        x, h = torch.zeros(1, 4), torch.ones(1, 4)
        c = torch.ones(1, 4 * cell.C) if cell.has_cell_state else None
        with torch.no_grad():
            step = cell.step(x, h, c, w)
        found.append((step.h if step.c is None else step.c)[0, 0].item())
    assert found[0] < found[1] < found[2]


def test_forget_bias_of_one_bias_alone():
    """Where b_h is missing all of it is in b_x."""
    cell = VARIANTS["min_lstm"]
    w = weights(cell)
    assert w.b_h is None
    initial.set_forget_bias(cell, w, 2.0)
    assert w.b_x is not None
    assert w.b_x.tolist() == [0.5] * 4 + [2.0] * 4 + [0.5] * 4


@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.parametrize("longest", [3, 50, 1000.5])
def test_chrono_draws_time_scales(name, longest):
    cell, H, (keeps, sign) = VARIANTS[name], 500, KEEPING[name]
    w = weights(cell, 500, H, dtype=torch.float64)
    initial.draw_chrono(cell, w, longest, generator())
    begun = sign * bias_of(cell, w, keeps, H)
    u = (6 / (3 - begun) - 1) if name == "hard_lstm" else begun.exp()
    fits(u, uniform(1, longest - 1))
    for gate in cell.gates:
        if gate.name == "input_gate" and gate.name != keeps:
            torch.testing.assert_close(bias_of(cell, w, gate.name, H), -begun)
        elif gate.name != keeps:
            assert (bias_of(cell, w, gate.name, H) == 0).all()
    assert (w.W == 0.5).all()
    assert (w.U == 0.5).all()


def test_hard_gates_begin_where_others_do():
    """At u / (1 + u), so that none is stuck at 1, where its slope is 0."""
    cells = [VARIANTS["lstm"], VARIANTS["hard_lstm"]]
    begun = []
    for cell, squash in zip(cells, (torch.sigmoid, HARD_SIGMOID.apply), strict=True):
        w = weights(cell, 4, 50, dtype=torch.float64)
        initial.draw_chrono(cell, w, 1e4, generator())
        begun.append([squash(bias_of(cell, w, gate, 50)) for gate in ("forget_gate", "input_gate")])
    torch.testing.assert_close(begun[0], begun[1])
    assert (begun[1][0] < 1).all()


def test_an_exponential_forget_gate_begins_there_too():
    cell = SLSTM(forgetting="exponential")
    w = weights(cell, 4, 50, dtype=torch.float64)
    initial.draw_chrono(cell, w, 100, generator())
    keep = bias_of(cell, w, "forget_gate", 50).exp()
    fits(keep / (1 - keep), uniform(1, 99))


def test_a_chrono_lstm_remembers():
    """With no weights a unit's state decays by 1 - 1 / (1 + u) each step."""
    cell = VARIANTS["lstm"]
    w = weights(cell, 1, 50, dtype=torch.float64, fill=0.0)
    initial.draw_chrono(cell, w, 20, generator())
    assert w.b_x is not None
    u = w.b_x[50:100].exp()
    x, h, c = (torch.zeros(1, n, dtype=torch.float64) for n in (1, 50, 50))
    c = torch.ones_like(c)
    for _ in range(7):
        c = cell.step(x, h, c, w).c
        assert c is not None
    torch.testing.assert_close(c[0], (1 - 1 / (1 + u)) ** 7)


SETTERS = {
    "forget_bias": lambda cell, w: initial.set_forget_bias(cell, w, 1.0),
    "chrono": lambda cell, w: initial.draw_chrono(cell, w, 100),
}


@pytest.mark.parametrize("what", SETTERS)
@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in KEEPING])
def test_cells_that_keep_by_no_gate_are_refused(name, what):
    w = weights(VARIANTS[name])
    with pytest.raises(InputError, match=f"^{what}: a cell of the kind .* has no gate that keeps"):
        SETTERS[what](VARIANTS[name], w)
    assert all((weight == 0.5).all() for weight in w.given)


@pytest.mark.parametrize("what", SETTERS)
def test_layers_without_biases_are_refused(what):
    w = weights(named("lstm"), bias=False)
    with pytest.raises(InputError, match=f"^{what}: expected a layer with biases"):
        SETTERS[what](named("lstm"), w)


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None, True, 1j])
def test_a_forget_bias_is_a_finite_number(value):
    w = weights(named("lstm"))
    with pytest.raises(InputError, match=r"^forget_bias: expected a finite number, got"):
        initial.set_forget_bias(named("lstm"), w, value)


@pytest.mark.parametrize("value", [math.nan, math.inf, "9", None, True])
def test_the_longest_time_is_a_finite_number(value):
    with pytest.raises(InputError, match=r"^chrono: expected a finite number, got"):
        initial.draw_chrono(named("lstm"), weights(named("lstm")), value)


@pytest.mark.parametrize("value", [2, 0, -5, 1.5])
def test_the_longest_time_is_more_than_two_steps(value):
    w = weights(named("lstm"))
    with pytest.raises(InputError, match=f"^chrono: expected more than 2 steps, got {value}"):
        initial.draw_chrono(named("lstm"), w, value)
    assert all((weight == 0.5).all() for weight in w.given)


def test_a_cell_of_ones_own_is_known_by_its_forget_gate():
    forget, candidate = GateMap("forget_gate", "f", SIGMOID), GateMap("candidate", "g", TANH)
    cell = Custom(lambda now: now.h, gates=(forget, candidate))
    w = weights(cell)
    initial.set_forget_bias(cell, w, 1.0)
    assert (bias_of(cell, w, "forget_gate", 4) == 1).all()
    without = Custom(lambda now: now.h, gates=(candidate,))
    with pytest.raises(InputError, match="has no gate that keeps"):
        initial.set_forget_bias(without, weights(without), 1.0)


def test_a_keeping_gate_that_gives_no_odds_is_refused():
    cell = Custom(lambda now: now.h, gates=(GateMap("forget_gate", "f", RELU),))
    w = weights(cell)
    with pytest.raises(InputError, match=r"^chrono: expected a forget_gate that ends in a sigmoid"):
        initial.draw_chrono(cell, w, 100)
    assert all((weight == 0.5).all() for weight in w.given)
