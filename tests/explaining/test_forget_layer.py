"""The example `forget-layer` against NumPy, and against numbers worked out on paper."""

import re

import numpy as np
import pytest

import glasscell
from glasscell.explaining import Equation, Table
from glasscell.explaining.forget_layer import forget_layer


@pytest.fixture(scope="module")
def told():
    return forget_layer()


def last_columns(told, start: str) -> list[list[float]]:
    """The last column of each equation that begins so."""
    found = []
    for piece in told.pieces:
        if isinstance(piece, Equation) and piece.latex.startswith(start):
            matrices = re.findall(r"\\begin\{bmatrix\}(.*?)\\end", piece.latex)
            if matrices:
                found.append([float(row) for row in matrices[-1].split("\\\\")])
    return found


def test_the_forget_gate(told):
    v = np.array([1, 2, 3, 4, 5, 6.0])
    wide = np.array([np.arange(1, 7), np.arange(5, 11), np.arange(3, 9)])
    assert (wide @ v).tolist() == [91, 175, 133]  # as on paper
    pre = wide @ v + [1, 2, 3]
    assert last_columns(told, "W_f [h") == [[91, 175, 133]]
    assert last_columns(told, "f_t^{") == [pre.tolist()] == [[92, 177, 136]]
    assert last_columns(told, "f_t = \\sigma(\\begin") == [[1, 1, 1]]
    assert last_columns(told, "U_f h") == [[91, 175, 133]]
    assert "1 · 1 + 2 · 2 + 3 · 3 + 4 · 4 + 5 · 5 + 6 · 6 = 91" in told.text()
    missing = np.exp(-92.0) / (1 + np.exp(-92.0))
    digits = f"{missing:.4g}".split("e")
    assert digits == ["1.109", "-40"]
    assert "at most 1.109·10⁻⁴⁰" in told.text().replace("\n", " ")


def test_the_input_gate_and_the_answer_on_the_web(told):
    v = np.array([1, 2, 3, 4, 5, 6.0])
    rows = np.array([1.0, 2, 3])
    right = rows * v.sum() + 1
    assert right.tolist() == [22, 43, 64] == last_columns(told, "i_t^{")[0]
    table = next(p for p in told.pieces if isinstance(p, Table) and "computed how" in p.head)
    assert [list(map(float, row[1:])) for row in table.rows] == [
        right.tolist(),
        (rows * v.sum()).tolist(),
        (rows * (v.sum() + 1)).tolist(),
        [22, 42, 62],
    ]
    text = told.text().replace("\n", " ")
    assert "2 · 21 + 1 = 43 and not 42, 3 · 21 + 1 = 64 and not 62" in text
    assert ([22, 42, 62] - rows * v.sum()).tolist() == [1, 0, -1]
    assert "the bias would have to be (1, 0, −1)" in text


def test_proportions_and_odds(told):
    table = next(p for p in told.pieces if isinstance(p, Table) and "one draw" in p.head)
    values = np.array([[float(cell.replace("−", "-")) for cell in row] for row in table.rows])
    _, c, f, kept, draw, mean = values.T
    assert f.tolist() == [0.5, 0.8, 0.9]
    np.testing.assert_allclose(kept, f * c)
    assert all(d in (0, m) for d, m in zip(draw, c, strict=True))
    np.testing.assert_allclose(mean, kept, atol=0.13)
    assert (mean != kept).all()  # it is drawn, and not copied
    assert forget_layer().text() == told.text()


def test_slopes(told):
    text = told.text().replace("\n", " ")
    assert "at most 0.25" in text
    table = next(p for p in told.pieces if isinstance(p, Table) and "$v$" in p.head)
    for row in table.rows:
        v, sigmoid, tanh = map(float, row)
        y = 1 / (1 + np.exp(-v))
        assert sigmoid == pytest.approx(y * (1 - y), rel=1e-3)
        assert tanh == pytest.approx(1 / np.cosh(v) ** 2, rel=1e-3)
    table = next(p for p in told.pieces if isinstance(p, Table) and "forget gate" in p.head)
    powers = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    for row in table.rows:
        f, kept, squashed = (float(c.translate(powers).replace("·10", "e")) for c in row)
        assert kept == pytest.approx(f**100, rel=1e-3)
        assert squashed == pytest.approx((f / 4) ** 100, rel=1e-3)


def test_every_check_holds_in_every_format(told):
    assert len(told.checks) >= 7
    assert all(check.holds for check in told.checks)
    assert "✗" not in told.text() + told.markdown() + told.html()
    assert glasscell.explain(example="forget-layer").text() == told.text()
