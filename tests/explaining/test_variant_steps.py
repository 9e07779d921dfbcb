"""Every variant's step: what is told is what its cell, and its paper, compute."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.cells.published_setting import H
from tests.explaining.variant_steps import (
    PROJECTED,
    drawn_weights,
    layer_of,
    published_step,
    values,
    worked_out,
)

import glasscell
from glasscell import cells
from glasscell.cells import VARIANTS
from glasscell.errors import InputError
from glasscell.explaining import Equation, Heading, Items, Prose
from glasscell.explaining.accounts import accounts
from glasscell.explaining.kinds import telling
from glasscell.explaining.moment import Moment
from glasscell.explaining.named import numbers_of

CASES = [*((name, None) for name in VARIANTS), *((name, 3) for name in PROJECTED)]


def explained(name, P=None):
    (x, h, c), w, expected = published_step(name, P)
    return glasscell.explain(VARIANTS[name], x, h, c, weights=w), expected


def values_of_projection(name, P):
    _, w, _ = published_step(name, P)
    assert w.V is not None
    return w.V.numpy()


@pytest.mark.parametrize(("name", "P"), CASES)
def test_gates_and_states_are_those_of_the_paper(name, P):
    told, expected = explained(name, P)
    found = values(told)
    for letter in "ifgorznhc":
        for symbol in (f"{letter}_t", f"{letter}'_t"):
            # how an sLSTM's gates act, relative to a stabilizer, `kept` and `written` say
            as_it_acts = {"i'_t": "written", "f'_t": "kept"} if name == "slstm" else {}
            theirs = expected.get(as_it_acts.get(symbol, letter))
            if symbol == "h_t" and P is not None and theirs is not None and len(theirs) == H:
                theirs = values_of_projection(name, P) @ theirs
            if theirs is not None and symbol in found:
                np.testing.assert_allclose(found[symbol], theirs, rtol=0, atol=1e-12)
    assert {"h_t"} <= found.keys()
    gates = {part.symbol for part in telling(VARIANTS[name]).gates}
    assert gates <= found.keys()
    assert all(check.holds for check in told.checks)


def moment_of(name, P=None):
    (x, h, c), w, _ = published_step(name, P)
    return Moment.of(VARIANTS[name], w, x, h, c)


@pytest.mark.parametrize(("name", "P"), CASES)
def test_each_thing_that_a_step_gives_is_checked(name, P):
    moment = moment_of(name, P)
    numbers = numbers_of(moment)
    cell = moment.cell
    expected = {f"{part.gate.letter}_t^{{\\mathrm{{pre}}}}" for part in numbers.telling.gates}
    expected |= {part.symbol for part in numbers.telling.gates} | {"h_t"}
    states = set(numbers.telling.letters.values()) - set("ifo")  # gates, handed on
    expected |= {f"{letter}_t" for letter in states}
    assert expected <= numbers.gaps.keys()
    assert max(numbers.gaps.values()) < 1e-12
    assert len(numbers.telling.letters) == cell.C


@pytest.mark.parametrize("name", VARIANTS)
def test_what_a_step_does_not_give_is_found_out(name):
    """Anything moved by a little, in one unit alone, no longer fits what is told."""
    moment = moment_of(name)
    cell, step = moment.cell, moment.step
    moved = []
    for k in range(cell.G):
        pre, gates = step.pre.clone(), step.gates.clone()
        pre[k, 1] += 1e-4
        gates[k, 2] += 1e-4
        moved.append(replace(step, pre=pre))
        if name not in ("rnn", "relu_rnn", "indrnn"):  # whose gate is the state below
            moved.append(replace(step, gates=gates))
    for state in ("h", "c"):
        if (value := getattr(step, state)) is not None:
            value = value.clone()
            value[0] += 1e-4
            is_gate = state == "h" and cell.G == 1
            moved.append(
                replace(step, **({"gates": value[None]} if is_gate else {}), **{state: value})
            )
    for each in moved:
        wrong = replace(moment, step=each)
        checks = accounts(wrong, numbers_of(wrong))
        assert not checks[1].holds  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "P"), CASES)
def test_the_printed_numbers_are_true(name, P):
    """Each equation with numbers, read back and worked out: all its sides are the same."""
    told, _ = explained(name, P)
    found = 0
    for piece in told.pieces:
        if not isinstance(piece, Equation) or "bmatrix" not in piece.latex:
            continue
        sides = piece.latex.split(" = ")[1:]
        results = [worked_out(side) for side in sides if "_" not in side]
        for result in results[1:]:
            np.testing.assert_allclose(results[0], result, rtol=2e-3, atol=2e-3)
            found += 1
    assert found >= len(telling(VARIANTS[name]).gates)


@pytest.mark.parametrize("name", VARIANTS)
def test_sizes_are_those_of_the_weights(name):
    told, _ = explained(name)
    sizes = [check.text for check in told.checks if "for each unit" in check.text or
             "units out" in check.text]  # fmt: skip
    cell = VARIANTS[name]
    matrices = sum(" is (5, " in text for text in sizes)
    between = 3 if name == "fgr" else 0
    assert matrices == len(cell.gates_in("W")) + len(cell.gates_in("U")) + between
    assert all(text.endswith("fits") for text in sizes)


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("no_forget_gate", "There is no forget gate: all of the memory stays."),
        ("no_input_gate", "There is no input gate: the candidate is written whole."),
        ("nog", "There is no output gate: all of the memory is shown."),
        ("noaf", "The memory is shown as it is: nothing squashes it on its way out."),
        ("niaf", "The candidate is not squashed: it may be as large as its sum."),
        ("cifg", "the input gate says what stays, too, $f_t = 1 - i_t$"),
        ("lstm(input_gate=None, sharing='complement')", "is written over, $i_t = 1 - f_t$"),
        ("janet", "something in; here $\\beta = 1$."),
        ("min_lstm", "are divided by their sum"),
        ("min_gru", "No gate reads the hidden state, so there is no $U$"),
        ("gru_reset_before", "The reset gate acts before the product"),
        ("gru(reset_gate=None)", "There is no reset gate."),
        ("mut1", "The update gate says how much is written, as in the paper"),
        ("indrnn", "Of the past each unit reads nothing but itself"),
        ("fgr", "The three gates also read each other's values of the step before"),
        ("layer_norm_lstm", "are each normalised over the numbers of all four gates together"),
    ],
)
def test_what_is_special_is_said(cell, sentence):
    cell = cells.named(cell)
    w = drawn_weights(cell, H, H)
    told = glasscell.explain(cell, torch.randn(H), weights=w)
    assert any(isinstance(p, Prose) and sentence in p.text for p in told.pieces)
    assert all(check.holds for check in told.checks)


def test_plain_cells_have_nothing_special():
    for name in ("lstm", "gru", "rnn", "peephole"):
        told, _ = explained(name)
        assert Heading("What is special about this cell") not in told.pieces


def equations(name):
    return [equation.latex for equation in telling(VARIANTS[name]).read]


def test_equations_of_the_less_known():
    assert equations("janet")[-3:] == [
        "i_t = 1 - \\sigma(f_t^{\\mathrm{pre}} - \\beta)",
        "c_t = f_t \\odot c_{t-1} + i_t \\odot g_t",
        "h_t = c_t",
    ]
    assert equations("coupled")[2:4] == [
        "f_t = 1 - i_t",
        "c_t = f_t \\odot c_{t-1} + i_t \\odot g_t",
    ]
    assert equations("no_forget_gate")[2] == "c_t = c_{t-1} + i_t \\odot g_t"
    assert equations("nog")[-1] == "h_t = \\tanh(c_t)"
    assert "i'_t = \\frac{i_t}{i_t + f_t}" in equations("min_lstm")
    assert "g_t = \\mathrm{positive}(W_g x_t + b_g)" in equations("min_lstm")
    slstm = equations("slstm")
    log = "\\log \\sigma(f_t^{\\mathrm{pre}}) + m_{t-1}"
    assert f"m_t = \\max({log}, i_t^{{\\mathrm{{pre}}}})" in slstm
    assert f"f'_t = \\exp({log} - m_t)" in slstm
    assert slstm[-1] == "h_t = o_t \\odot \\frac{c_t}{n_t}"
    assert equations("indrnn") == [
        "h_t = \\mathrm{relu}(W x_t + u \\odot h_{t-1} + b)",
    ]
    assert "n_t = \\tanh(\\tanh(x_t) + U_n \\, (r_t \\odot h_{t-1}) + b_n)" in equations("mut1")
    assert "r_t = \\sigma(x_t + U_r h_{t-1} + b_r)" in equations("mut2")
    assert "z_t = \\sigma(W_z x_t + U_z \\tanh(h_{t-1}) + b_z)" in equations("mut3")
    assert "q_t = U_n \\, (r_t \\odot h_{t-1}) + b'_n" in equations("gru_reset_before")


def sentence(told, unit):
    items = next(p for p in told.pieces if isinstance(p, Items))
    found = next(text for text in items.items if text.startswith(f"**Unit {unit}**"))
    return found.replace("\u00a0", " ")


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in ("rnn", "relu_rnn")])
def test_the_words_follow_the_carry(name):
    """What a unit is said to have kept and added, by the cell's own account of it."""
    moment = moment_of(name)
    told, _ = explained(name)
    carried = moment.cell.carry(moment.step.gates)
    if carried is None:
        assert "written anew" in sentence(told, 0)
        return
    keep, write = carried
    verb = "added" if write[1] >= 0 else "took away"
    assert f"{verb} {abs(float(write[1])):.4g}" in sentence(told, 1)
    if name in ("no_forget_gate", "nfg"):
        assert "kept 100 % of its memory" in sentence(told, 1)
    assert torch.isfinite(keep).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_layers_step_and_its_record(name):
    layer, x = layer_of(name)
    with torch.no_grad(), glasscell.trace(layer) as trace:
        layer(x)
    for t in (0, 4):
        told = glasscell.explain(layer, x, step=t, b=2)
        record = glasscell.explain(trace["l0"], step=t, b=2)
        for found in (told, record):
            np.testing.assert_allclose(values(found)["h_t"], trace["l0"].hidden[t, 2], atol=1e-6)
            assert all(check.holds for check in found.checks)
            for form in (found.text(60), found.markdown(), found.html()):
                assert len(form) > 500
        assert any("model's own run gave" in check.text for check in told.checks)


def test_states_that_are_given_are_carried_whole():
    layer, x = layer_of("slstm")
    h, c = torch.randn(1, 3, H), torch.rand(1, 3, 3 * H)
    found = values(glasscell.explain(layer, x, h, c, step=0, b=1))
    for k, letter in enumerate("cnm"):
        np.testing.assert_allclose(found[f"{letter}_{{t-1}}"], c[0, 1, k * H : (k + 1) * H])
    alone = values(glasscell.explain(layer, x, c=c, step=0, b=1))
    np.testing.assert_allclose(alone["m_{t-1}"], c[0, 1, 2 * H :])
    w = drawn_weights(VARIANTS["slstm"], 3, H)
    with pytest.raises(InputError, match=r"c: expected \(15,\), the units of cell, normalizer, "):
        glasscell.explain(VARIANTS["slstm"], [0.0] * 3, None, [0.0] * H, weights=w)


def test_weights_of_another_cell_are_refused():
    w = drawn_weights(VARIANTS["lstm"], 3, H)
    with pytest.raises(InputError, match=r"weights\.p: expected \(3, 5\), got none"):
        glasscell.explain(VARIANTS["peephole"], [0.0] * 3, weights=w)
    with pytest.raises(InputError, match="weights: expected W"):
        glasscell.explain(VARIANTS["coupled"], [0.0] * 3, weights=w)
    w = w._replace(W=torch.zeros(2 * H, 3), U=torch.zeros(2 * H, H))
    with pytest.raises(InputError, match="input_size: this cell adds x_t itself"):
        glasscell.explain(VARIANTS["mut1"], [0.0] * 3, weights=w)
