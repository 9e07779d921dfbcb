"""A step written out: its numbers are those of the cell, and of equations written elsewhere."""

import re

import numpy as np
import pytest
import torch
from tests.cells.zoo import SUBJECTS, as_numpy, independent

import glasscell
from glasscell import cells
from glasscell.cells import Weights
from glasscell.cells.cell import summed_terms
from glasscell.errors import InputError
from glasscell.explaining import Equation, Items, Matrix, Vector

I, H = 3, 4


def subject_step(name, H=H, units=None):
    """An explained step of a cell of the zoo, its weights, and what went in."""
    subject = SUBJECTS[name]
    w = subject.weights(I, H)
    for weight in w.given:
        weight.requires_grad_(False)
    x, h = torch.randn(I).double(), torch.randn(subject.P(H)).double()
    c = torch.randn(H).double() if subject.cell.has_cell_state else None
    told = glasscell.explain(subject.cell, x, h, c, weights=w, units=units)
    return told, subject.cell, w, (x, h, c)


def vectors(told) -> dict[str, np.ndarray]:
    return {p.name: p.values for p in told.pieces if isinstance(p, Vector)}


def oracle(cell, w, inputs):
    """The step by the equations of tests/cells, in NumPy, with no batch."""
    x, h, c = (None if v is None else v.numpy()[None] for v in inputs)
    return as_numpy(independent(cell, w)).step(x, h, c)


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_gate_and_state_is_the_cells_and_an_independent_computation(name):
    told, cell, w, inputs = subject_step(name)
    x, h, c = inputs
    step = cell.step(x[None], h[None], None if c is None else c[None], w)
    expected, found = oracle(cell, w, inputs), vectors(told)
    for k, gate in enumerate(cell.gates):
        value = found[f"{gate.letter}_t"]
        np.testing.assert_array_equal(value, step.gates[0, k])
        np.testing.assert_allclose(value, expected.gates[0, k], rtol=0, atol=1e-13)
    np.testing.assert_allclose(found["h_t"], expected.h[0], rtol=0, atol=1e-13)
    if cell.has_cell_state:
        np.testing.assert_allclose(found["c_t"], expected.c[0], rtol=0, atol=1e-13)
    assert all(check.holds for check in told.checks)


def columns(latex: str) -> list[list[float]]:
    """The numbers of each one-column matrix in a formula."""
    found = []
    for body in re.findall(r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}", latex):
        entries = [e.strip().replace(" \\cdot 10^{", "e").rstrip("}") for e in body.split("\\\\")]
        if not any("&" in e or "dots" in e for e in entries):
            found.append([float(e) for e in entries])
    return found


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_printed_sums_are_true(name):
    """What is printed is read back, added up here, and compared with the printed result."""
    told, cell, w, inputs = subject_step(name)
    expected = oracle(cell, w, inputs)
    equations = [p.latex for p in told.pieces if isinstance(p, Equation) and "bmatrix" in p.latex]
    sums = [e for e in equations if e.count(" = ") == 2]
    assert len(sums) >= cell.G
    for latex in sums:
        _, right, result = latex.split(" = ")
        total = np.sum(
            [np.prod(columns(t), axis=0) for t in right.replace(" \\odot ", "").split(" + ")],
            axis=0,
        )
        np.testing.assert_allclose(total, columns(result)[0], atol=2e-3)
    for k, gate in enumerate(cell.gates):
        pre = next(e for e in sums if e.startswith(f"{gate.letter}_t^{{\\mathrm{{pre}}}} ="))
        np.testing.assert_allclose(columns(pre)[-1], expected.pre[0, k], rtol=6e-4, atol=1e-9)


def test_the_text_shows_the_numbers_of_torch_nn():
    cell = torch.nn.LSTMCell(I, H).double()
    x, h, c = torch.randn(I).double(), torch.randn(H).double(), torch.randn(H).double()
    told = glasscell.explain(cell, x, h, c)
    with torch.no_grad():
        expected = dict(zip("hc", cell(x, (h, c)), strict=True))
    for letter, state in expected.items():
        row = re.search(rf"^    {letter}_t = \[(.*)\]$", told.text(), re.MULTILINE)
        assert row is not None
        shown = [float(number.replace("−", "-")) for number in row[1].split()]
        np.testing.assert_allclose(shown, state, rtol=6e-4)


def test_each_matrix_is_the_gates_own_with_its_size():
    told, cell, w, _ = subject_step("lstm-projected")
    matrices = {p.name: p for p in told.pieces if isinstance(p, Matrix)}
    for k, gate in enumerate(cell.gates):
        rows = slice(k * H, (k + 1) * H)
        np.testing.assert_array_equal(matrices[f"W_{gate.letter}"].values, w.W[rows])
        np.testing.assert_array_equal(matrices[f"U_{gate.letter}"].values, w.U[rows])
    assert matrices["U_f"].reason == "4 units out, 2 hidden values in"
    assert w.V is not None
    np.testing.assert_array_equal(matrices["V"].values, w.V)
    text = told.text()
    assert "✓ W_f is (4, 3): 4 units out, 3 inputs in: fits" in text
    assert "✓ V is (2, 4): 2 hidden values out, 4 units in: fits" in text


def test_equations_follow_from_the_gate_maps():
    def equations(name):
        return [p.latex for p in subject_step(name)[0].pieces if isinstance(p, Equation)]

    plain, peeping = equations("lstm"), equations("lstm-peepholes")
    assert "f_t = \\sigma(W_f x_t + U_f h_{t-1} + b_f)" in plain
    assert "g_t = \\tanh(W_g x_t + U_g h_{t-1} + b_g)" in plain
    assert "f_t = \\sigma(W_f x_t + U_f h_{t-1} + p_f \\odot c_{t-1} + b_f)" in peeping
    late = peeping.index("o_t = \\sigma(W_o x_t + U_o h_{t-1} + p_o \\odot c_t + b_o)")
    assert late > peeping.index("c_t = f_t \\odot c_{t-1} + i_t \\odot g_t")
    assert "i_t = \\sigma(W_i x_t + U_i h_{t-1})" in equations("lstm-nobias")
    projected = equations("lstm-projected")
    assert projected.index("h_t = V m_t") > projected.index("m_t = o_t \\odot \\tanh(c_t)")
    assert "h_t = \\mathrm{relu}(W x_t + U h_{t-1} + b)" in equations("rnn-relu")
    gru = equations("gru")
    assert "n_t = \\tanh(W_n x_t + b_n + r_t \\odot q_t)" in gru
    assert "q_t = U_n h_{t-1} + b'_n" in gru
    assert "h_t = z_t \\odot h_{t-1} + (1 - z_t) \\odot n_t" in gru


def sentence(told, unit: int) -> str:
    items = next(p for p in told.pieces if isinstance(p, Items))
    found = next(text for text in items.items if text.startswith(f"**Unit {unit}**"))
    return found.replace("\u00a0", " ")


def test_in_words():
    """By hand: f = 1/2, i = 0.8, g = tanh(1/2), o = 1/4 in both units."""
    logit = [float(np.log(p / (1 - p))) for p in (0.8, 0.5, 0.25)]
    i, f, o = (torch.tensor([v, v]) for v in logit)
    w = Weights(torch.zeros(8, 1), torch.zeros(8, 2), torch.cat((i, f, torch.full((2,), 0.5), o)))
    told = glasscell.explain(cells.LSTM(), [0.0], [0.0, 0.0], [2.0, 0.0], weights=w)
    g = np.tanh(0.5)
    c = 0.5 * 2 + 0.8 * g
    assert sentence(told, 0) == (
        f"**Unit 0** kept 50 % of its memory (2 became 1) and added {0.8 * g:.4g} (80 % of the "
        f"candidate, {g:.4g}): $c_t$ is {c:.4g}. It showed 25 % of $\\tanh(c_t)$ = "
        f"{np.tanh(c):.4g}: {0.25 * np.tanh(c):.4g}, its hidden state."
    )
    assert "kept 50 % of its memory (which was 0)" in sentence(told, 1)
    gru = Weights(torch.zeros(3, 1), torch.zeros(3, 1), torch.tensor([0.0, logit[0], -0.5]))
    told = glasscell.explain(cells.GRU(), [0.0], [1.0], weights=gru)
    assert "kept 80 % of its hidden state (1 became 0.8) and took away 0.09242 (20 % of the " in (
        sentence(told, 0)
    )
    rnn = glasscell.explain(
        cells.RNN(), [1.0], [0.0], weights=Weights(torch.ones(1, 1), torch.ones(1, 1))
    )
    assert sentence(rnn, 0) == (
        "**Unit 0** was written anew: 1 went into the tanh, and its hidden state is 0.7616."
    )


def test_large_layers_are_shortened_and_stay_true():
    told, cell, w, inputs = subject_step("lstm", H=200)
    expected = oracle(cell, w, inputs)
    text = told.text()
    assert len(text) < 20_000
    assert "⋯" in text
    np.testing.assert_allclose(vectors(told)["c_t"], expected.c[0], atol=1e-13)
    chosen, _, w, inputs = subject_step("lstm", H=200, units=[150, 3, -1])
    expected = oracle(cell, w, inputs)
    pre = next(
        p.latex
        for p in chosen.pieces
        if isinstance(p, Equation) and p.latex.startswith("f_t^{\\mathrm{pre}} = \\begin")
    )
    rows = re.findall(r"\\begin\{bmatrix\}(.*?)\\end", pre)[-1].split("\\\\")
    assert [row.strip() for row in rows[::2]] == ["\\vdots"] * 3
    shown = [float(row) for row in rows[1::2]]
    np.testing.assert_allclose(shown, expected.pre[0, 1, [3, 150, 199]], rtol=6e-4)
    assert "The layer has 200 units; the numbers of units 3, 150, 199 are shown" in (
        chosen.text().replace("\n", " ")
    )
    items = next(p for p in chosen.pieces if isinstance(p, Items))
    assert [text.split("**")[1] for text in items.items] == ["Unit 3", "Unit 150", "Unit 199"]


def test_infinities_and_nan_are_shown_as_they_are():
    w = Weights(torch.ones(4, 1), torch.ones(4, 1))
    told = glasscell.explain(cells.LSTM(), [float("nan")], [0.0], [1.0], weights=w)
    assert "NaN" in told.text()
    assert "NaN" in told.html()
    told = glasscell.explain(cells.LSTM(), [float("inf")], [0.0], [1.0], weights=w)
    assert vectors(told)["f_t"].tolist() == [1.0]


W44, U44 = torch.zeros(16, I), torch.zeros(16, H)


@pytest.mark.parametrize(
    ("arguments", "options", "part"),
    [
        (([0.0] * 2,), {}, r"x: expected \(3,\), the inputs, got \(2,\)"),
        (([0.0] * 3, [0.0] * 3), {}, r"h: expected \(4,\), the hidden values, got \(3,\)"),
        (([0.0] * 3, None, [0.0]), {}, r"c: expected \(4,\), the units, got \(1,\)"),
        (([0.0] * 3,), {"units": [4]}, "units: expected -4 to 3, got 4"),
        (([0.0] * 3,), {"units": []}, "units: expected some of -4 to 3, got none"),
        (([0.0] * 3,), {"weights": None}, "weights: expected glasscell.cells.Weights"),
        (([0.0] * 3,), {"weights": Weights(W44[:3], U44)}, r"weights: expected W \(X\*H, I\)"),
        (([0.0] * 3,), {"weights": Weights(W44, U44[:12])}, "weights.U: expected"),
        (([0.0] * 3,), {"weights": Weights(W44, U44, p=W44)}, "weights.p: an LSTM has none"),
        ((), {}, "x: expected what the subject reads"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, options, part):
    options = {"weights": Weights(W44, U44), **options}
    with pytest.raises(InputError, match=part):
        glasscell.explain(cells.LSTM(), *arguments, **options)


def test_a_cell_state_for_a_cell_without_one_is_refused():
    w = Weights(torch.zeros(12, I), torch.zeros(12, H))
    with pytest.raises(InputError, match="c: a GRU has no cell state"):
        glasscell.explain(cells.GRU(), [0.0] * I, None, [0.0] * H, weights=w)


class Leaky(cells.Cell):
    """A cell that the package does not know: h_t = z * h_{t-1} + (1 - z) * n, without a reset."""

    kind = "leaky"
    noun = "a leaky cell"
    gates = cells.GRU().update_gate, cells.GRU().candidate

    @property
    def keeping(self):
        return self.gates[0], 1

    def carry(self, gates):
        z, n = gates.unbind(-2)
        return z, (1 - z) * n

    def preactivations(self, x, h, w):
        return summed_terms(x, h, w, self.G), None

    def step(self, x, h, c, w, *edits):
        pre, _ = self.preactivations(x, h, w)
        gates = self.activate(pre)
        keep, write = self.carry(gates)
        return cells.Step(pre, gates, keep * h + write)

    def step_backward(self, *arguments):
        raise NotImplementedError


def test_a_cell_of_ones_own_is_explained_from_its_definition():
    cell, w = Leaky(), Weights(torch.randn(2 * H, I).double(), torch.randn(2 * H, H).double())
    x, h = torch.randn(I).double(), torch.randn(H).double()
    told = glasscell.explain(cell, x, h, weights=w)
    expected = cell.step(x[None], h[None], None, w)
    np.testing.assert_array_equal(vectors(told)["h_t"], expected.h[0])
    equations = [p.latex for p in told.pieces if isinstance(p, Equation)]
    assert "z_t = \\sigma(W_z x_t + U_z h_{t-1})" in equations
    assert "h_t = z_t \\odot h_{t-1} + \\text{write}" in equations
    assert told.title == "One step of a leaky cell"
    assert all(check.holds for check in told.checks)


def test_a_definition_that_says_something_else_than_it_computes_is_found_out(monkeypatch):
    monkeypatch.setattr(Leaky, "activate", lambda self, pre: cells.Cell.activate(self, pre) * 0.9)
    monkeypatch.setattr(
        Leaky, "preactivations", lambda self, x, h, w: (summed_terms(x, h, w, self.G) + 0.1, None)
    )
    w = Weights(torch.randn(2 * H, I), torch.randn(2 * H, H))
    told = glasscell.explain(Leaky(), torch.randn(I), torch.randn(H), weights=w)
    assert [c.text[:15] for c in told.checks if not c.holds] == ["every sum and e"]
    assert "✗ every sum and every squash" in told.text()
