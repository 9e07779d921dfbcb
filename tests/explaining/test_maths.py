"""One source of maths for all formats: what it reads, and what each format makes of it."""

import xml.etree.ElementTree as ElementTree

import pytest

from glasscell.errors import InputError
from glasscell.explaining import maths, maths_html, maths_text

LINES = {
    r"f_t = \sigma(W_f x_t + U_f h_{t-1} + b_f)": "f_t = σ(W_f x_t + U_f h_(t−1) + b_f)",
    r"c_t = f_t \odot c_{t-1} + i_t \odot g_t": "c_t = f_t ⊙ c_(t−1) + i_t ⊙ g_t",
    r"W_f [h_{t-1}, x_t]": "W_f [h_(t−1), x_t]",
    r"h_t = V m_t, \quad m_t = o_t \odot \tanh(c_t)": "h_t = V m_t,   m_t = o_t ⊙ tanh(c_t)",
    r"\frac{\partial c_t}{\partial c_{t-1}} = f_t": "∂c_t/∂c_(t−1) = f_t",
    r"-\frac{1}{\ln f}": "−1/(ln f)",
    r"\prod_{k=1}^{t} f_k \le 0.9^{100}": "∏_(k=1)ᵗ f_k ≤ 0.9¹⁰⁰",
    r"1.2 \cdot 10^{-5}": "1.2 · 10⁻⁵",
    r"b'_n": "b_n′",
    r"f_t^{\mathrm{pre}}": "f_t^pre",
    r"(W_f x_t)_{3}": "(W_f x_t)_3",
    r"\text{the write} \in [0, 1]": "the write ∈ [0, 1]",
    r"\bar f": "f̄",
}


@pytest.mark.parametrize("latex", LINES)
def test_on_one_line(latex):
    assert maths_text.line(latex) == LINES[latex]


def test_a_product_over_several_lines():
    matrix = r"\begin{bmatrix} 1 & -20 \\ 3 & 4 \\ 5 & 6 \end{bmatrix}"
    column = r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}"
    assert maths_text.lines(f"{matrix} {column} = v", 80) == [
        "⎡ 1  −20 ⎤",
        "⎢ 3    4 ⎥ ⎡ 1 ⎤ = v",
        "⎣ 5    6 ⎦ ⎣ 2 ⎦",
    ]


def test_what_is_too_wide_is_broken_before_a_relation_or_a_plus():
    latex = "y = " + " + ".join(f"w_{{{k}}} x_{{{k}}}" for k in range(12)) + " = 3"
    lines = maths_text.lines(latex, 40)
    assert max(map(len, lines)) <= 40
    assert lines[1].strip().startswith("= w_0 x_0")
    assert all(line.strip()[0] in "=+" for line in lines[1:])
    together = " ".join(line.strip() for line in lines)
    assert together == maths_text.line(latex)


@pytest.mark.parametrize("latex", [*LINES, r"\left( \frac{a}{b} \right) \sum_k \sqrt{x} < 3"])
def test_mathml_is_well_formed_and_holds_every_letter(latex):
    tree = ElementTree.fromstring(maths_html.block(latex).replace("&nbsp;", " "))
    written = "".join(tree.itertext()).replace("\u2061", "").replace(" ", "")
    for letter in "fWxUhbcigomV":
        if letter in maths_text.line(latex):
            assert letter in written


def test_scripts_and_fractions_are_mathml():
    assert "<msub><mi>f</mi><mi>t</mi></msub>" in maths_html.inline("f_t")
    assert "<mfrac>" in maths_html.inline(r"\frac{a}{b}")
    assert maths_html.block(r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}").count("<mtr>") == 2


@pytest.mark.parametrize(
    ("latex", "why"),
    [
        (r"\unknown{x}", "unknown is not known"),
        ("{x", "a } is missing"),
        ("x}", "a } too many"),
        (r"\frac{a}", "ends too early"),
        (r"\begin{bmatrix} 1", "ends too early"),
        (r"\begin{array} 1 \end{array}", "array"),
        ("x_a_b", "two indices"),
        ("_a", "nothing before it"),
    ],
)
def test_what_cannot_be_shown_is_refused(latex, why):
    with pytest.raises(InputError, match="latex: expected maths that can be shown") as error:
        maths.read(latex)
    assert why in str(error.value)
