"""What chance did in a step is told with it: zoneout, dropout of the recurrence, drawn gates."""

import numpy as np
import pytest
import torch
from tests.explaining.variant_steps import layer_of, values

import glasscell
from glasscell.cells import VARIANTS
from glasscell.explaining import Equation, Items, Prose

RATES = {"zoneout": 0.5, "recurrent_dropout": 0.5, "weight_dropout": 0.3}


def drawn_gates(name, how="bernoulli"):
    gates = (gate for gate in VARIANTS[name].gates if gate.opens)
    names = [gate.name.removesuffix("_gate") for gate in gates if gate.squash.name != "exponential"]
    return dict.fromkeys(names, how)


def said(told) -> str:
    return " ".join(p.text for p in told.pieces if isinstance(p, Prose))


def latex(told) -> list[str]:
    return [p.latex for p in told.pieces if isinstance(p, Equation)]


def acts(name: str, option: str) -> bool:
    """Whether a cell has what the option drops: what it reads of h, a recurrent matrix."""
    cell = VARIANTS[name]
    if option == "weight_dropout":
        return bool(cell.gates_in("U"))
    return option == "zoneout" or bool(cell.gates_in("U") or cell.peepholes)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_step_with_all_of_it(name, training):
    rates = {option: rate for option, rate in RATES.items() if acts(name, option)}
    layer, x = layer_of(name, stochastic=drawn_gates(name), **rates)
    layer.train(training)
    with torch.no_grad(), glasscell.trace(layer) as trace:
        layer(x)
    for told in (
        glasscell.explain(layer, x, step=3, b=1),
        glasscell.explain(trace["l0"], step=3, b=1),
    ):
        assert [check.text for check in told.checks if not check.holds] == []
        assert len(told.text(60)) > 500
        assert "Zoneout" in said(told)


def held_layer():
    layer, x = layer_of("lstm", zoneout=(0.5, 0.0))
    torch.manual_seed(3)
    with torch.no_grad(), glasscell.trace(layer) as trace:
        layer(x)
    return layer, x, trace["l0"]


def test_zoneout_is_told():
    layer, x, record = held_layer()
    torch.manual_seed(3)
    told = glasscell.explain(layer, x, step=2, b=0)
    found = values(told)
    np.testing.assert_allclose(found["c_t"], record.cell[2, 0], atol=1e-6)
    k = found["k_c"]
    assert 0 < k.sum() < len(k)
    held = (record.cell[2, 0] == record.cell[1, 0]).numpy()
    np.testing.assert_array_equal(k == 1, held)
    equations = latex(told)
    assert "c'_t = f_t \\odot c_{t-1} + i_t \\odot g_t" in equations
    assert "c_t = k_c \\odot c_{t-1} + (1 - k_c) \\odot c'_t" in equations
    assert "h_t = o_t \\odot \\tanh(c'_t)" in equations
    sentences = next(p for p in told.pieces if isinstance(p, Items)).items
    for u, stays in enumerate(held):
        assert ("zoneout held it as it was" in sentences[u]) == stays


def test_zoneout_outside_training_is_its_rate():
    layer, x, _ = held_layer()
    told = glasscell.explain(layer.eval(), x, step=2)
    assert "k_c = 0.5" in latex(told)
    assert "of that zoneout takes 50 %, on average" in told.text(1000)


def test_what_dropout_leaves_is_told():
    layer, x = layer_of("gru", recurrent_dropout=0.5)
    torch.manual_seed(0)
    mask = values(glasscell.explain(layer, x, step=0, b=1))["\\mu"]
    torch.manual_seed(0)
    told = glasscell.explain(layer, x, step=4, b=1)
    np.testing.assert_array_equal(values(told)["\\mu"], mask)  # one for the whole sequence
    assert set(mask.tolist()) <= {0.0, 2.0}
    assert "q_t = U_n \\, (\\mu \\odot h_{t-1}) + b'_n" in latex(told)
    assert "\\mu" not in values(glasscell.explain(layer.eval(), x))


def test_dropped_weights_are_said():
    layer, x = layer_of("lstm", weight_dropout=0.5)
    assert "Weight dropout: in this run some recurrent weights are 0" in said(
        glasscell.explain(layer, x)
    )
    assert "Weight dropout" not in said(glasscell.explain(layer.eval(), x))


@pytest.mark.parametrize("name", ["lstm", "janet", "coupled", "min_lstm", "gru", "layer_norm_gru"])
@pytest.mark.parametrize("how", ["bernoulli", "gumbel"])
def test_drawn_gates_are_told(name, how):
    layer, x = layer_of(name, stochastic=drawn_gates(name, how))
    told = glasscell.explain(layer, x, step=1)
    found = values(told)
    for gate in layer.cell.gates:
        if gate.name not in (f"{each}_gate" for each in drawn_gates(name)):
            continue
        value, u = found[f"{gate.letter}_t"], found[f"u_{gate.letter}"]
        assert ((u >= 0) & (u < 1)).all()
        if how == "bernoulli":
            assert set(value.tolist()) <= {0.0, 1.0}
            assert any(
                e.startswith(f"{gate.letter}_t = [\\, u_{gate.letter} <") for e in latex(told)
            )
        else:
            assert any("\\log(u" in e for e in latex(told))
    assert all(check.holds for check in told.checks)
    plain = glasscell.explain(layer.eval(), x, step=1)
    assert not any(name.startswith("u_") for name in values(plain))


def test_a_temperature_is_told():
    line = "lstm(forget_gate=gate(stochastic='gumbel', temperature=0.5))"
    layer = glasscell.LSTM(3, 4, cell=line, engine="reference")
    told = glasscell.explain(layer, torch.randn(5, 2, 3))
    assert any(e.startswith("f_t = \\sigma(\\frac{") and "}{0.5})" in e for e in latex(told))
    assert all(check.holds for check in told.checks)
