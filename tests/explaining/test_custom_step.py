"""A step that is a function of somebody's own: its gates are told, and who computes the rest."""

import re

import numpy as np
import pytest
import torch
from tests.explaining.variant_steps import values

import glasscell
from glasscell.cells import SIGMOID, Custom, GateMap
from glasscell.explaining import Equation, Prose, card


def leaky(now):
    i, g = now.gate("input_gate"), now.gate("candidate")
    return torch.tanh(now.carry(0.9 * now.before() + i * g))


def doubled(now):
    i = now.gate("input_gate", 2 * now.sums["input_gate"])
    now.carry(now.before("trace") + i, "trace")
    return now.carry(i * now.gate("candidate"))


def plain(now):
    return now.gate("inner_gate") * now.gate("input_gate")


def custom(function, gates, carried=("cell",)) -> Custom:
    return Custom(function, gates=gates, carried=carried)


LEAKY = custom(leaky, ("input_gate", "candidate"))
DOUBLED = custom(doubled, ("input_gate", "candidate"), ("cell", "trace"))
PLAIN = custom(plain, ("inner_gate", "input_gate"), ())


def explained(cell):
    layer = glasscell.Recurrent(3, 4, cell=cell)
    x = torch.randn(5, 2, 3)
    with torch.no_grad(), glasscell.trace(layer) as trace:
        layer(x)
    told = glasscell.explain(layer, x, step=2, b=1)
    return told, trace["l0"]


@pytest.mark.parametrize("cell", [LEAKY, DOUBLED, PLAIN])
def test_gates_and_states(cell):
    told, layer = explained(cell)
    for each in (told, glasscell.explain(layer, step=2, b=1)):
        found = values(each)
        np.testing.assert_allclose(found["h_t"], layer.hidden[2, 1], atol=1e-6)
        if cell.carried:
            np.testing.assert_allclose(found["c_t"], layer.cell[2, 1], atol=1e-6)
        assert all(check.holds for check in each.checks)
        assert each.html()


def test_the_function_is_named():
    told, _ = explained(LEAKY)
    sentence = "$c_t$ (cell) and $h_t$ are computed by the step function `leaky`."
    assert Prose(sentence) in told.pieces
    assert told.title == "Step 2 of `l0`, a cell with the step function `leaky`"
    assert "g_t = \\tanh(W_g x_t + U_g h_{t-1} + b_g)" in [
        p.latex for p in told.pieces if isinstance(p, Equation)
    ]


def test_a_sum_that_the_function_remakes_is_said():
    told, _ = explained(DOUBLED)
    equations = [p.latex for p in told.pieces if isinstance(p, Equation)]
    assert "i_t = \\sigma(i_t^{\\mathrm{pre}})" in equations
    assert "i_t^{\\mathrm{sum}} = W_i x_t + U_i h_{t-1} + b_i" in equations
    found = values(told)
    assert any(
        isinstance(p, Prose) and "made into $i_t^{\\mathrm{pre}}$ by the step function" in p.text
        for p in told.pieces
    )
    assert "\\mathrm{trace}_t" in found


def test_gates_with_one_letter_get_words():
    told, layer = explained(PLAIN)
    found = values(told)
    np.testing.assert_allclose(found["{\\mathrm{inner gate}}_t"], layer.inner_gate[2, 1], atol=1e-6)
    assert "W_innergate x_t" in told.text()


def test_its_card():
    text = card(LEAKY).text()
    assert "a cell with the step function leaky" in text
    assert re.search(r"^reference +yes$", text, re.MULTILINE)
    assert "Code" not in text
    own = custom(plain, (GateMap("inner_gate", "r", SIGMOID), "input_gate"), ())
    assert "r_t = σ(W_r x_t" in card(own).text()
