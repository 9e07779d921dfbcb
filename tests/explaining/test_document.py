"""The pieces of an explanation, and the three ways in which they are shown."""

import re
from html.parser import HTMLParser

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from glasscell.errors import InputError
from glasscell.explaining import (
    Check,
    Code,
    Equation,
    Explanation,
    Figure,
    Heading,
    Items,
    Matrix,
    Prose,
    Table,
    Vector,
    joined,
    literal,
)

NASTY = "<b>*a* `b` $c$ | \\ & [x](y) _z_</b>"
FIGURE = go.Figure(go.Scatter(y=[1, 3, 2]))


def every_piece() -> Explanation:
    return Explanation(
        "All of $x_t$",
        [
            Heading("A part"),
            Heading("A part of it", 3),
            Prose(f"Some **strong $f_t$** `code` and {literal(NASTY)}."),
            Items(["first", "second $c_t$"], counted=True),
            Equation(r"c_t = f_t \odot c_{t-1}", "a remark"),
            Vector("h_{t-1}", torch.arange(20.0), meaning="hidden"),
            Matrix("W_f", [[1, 2], [3, 4]], "2 out, 2 in"),
            Check("it fits"),
            Check("it does not", False),
            Table(["name", "n"], [[literal("a|b"), 12.5]], "lr", "a caption"),
            Code("if a < b:\n    print('```')"),
            Figure(FIGURE, "a **curve**", "up and down"),
        ],
    )


class Tags(HTMLParser):
    """Whether every element is closed where it should be, and the text outside of scripts."""

    VOID = ("meta", "br", "img")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data


def test_text():
    text = every_piece().text(60)
    assert text.startswith("All of x_t\n══════════\n\nA part\n──────\n\nA part of it\n┄")
    assert f"and\n{NASTY}" in text or NASTY in text.replace("\n", " ")
    assert "1. first\n2. second c_t\n" in text
    assert "    h_(t−1) = [0  1  2  3  ⋯  18  19]\n    (20,): hidden\n" in text
    assert "    W_f = ⎡ 1  2 ⎤\n          ⎣ 3  4 ⎦\n    (2, 2): 2 out, 2 in\n" in text
    assert "✓ it fits\n✗ it does not\n" in text
    assert "name     n\n────  ────\na|b   12.5\n\na caption\n" in text
    assert "[figure: a curve]\nup and down\n" in text
    assert max(map(len, text.splitlines())) <= 60


def test_markdown():
    markdown = every_piece().markdown()
    assert markdown.startswith("# All of $x_t$\n\n## A part\n\n### A part of it\n")
    assert "$$\nc_t = f_t \\odot c_{t-1}\n$$" in markdown
    assert r"\<b\>\*a\* \`b\` \$c\$ \| \\ \& \[x\]\(y\)".replace(r"\(y\)", "(y)") in markdown
    assert "| name | n |\n| :--- | ---: |\n| a\\|b | 12.5 |\n" in markdown
    assert "````python\nif a < b:\n    print('```')\n````" in markdown
    assert "*Figure: a **curve***\n\nup and down" in markdown
    assert "![up and down](<curve.png>)" in every_piece().markdown(["curve.png"])


def test_html_is_whole_escaped_and_fetches_nothing():
    explanation = Explanation("T", [p for p in every_piece().pieces if not isinstance(p, Figure)])
    page = explanation.html()
    tags = Tags(page)
    assert page.startswith("<!DOCTYPE html>")
    assert NASTY in tags.text
    assert "script" not in tags.seen
    assert "b" not in tags.seen
    assert not re.search(r"(src|href)=|url\(|https?://|@import", page)
    assert page.count("<math") == 4 + 1  # h, W, c; f in the prose, c in a list
    assert "prefers-color-scheme: dark" in page


def test_plotly_comes_once_and_only_with_figures():
    dark = go.Figure(go.Scatter(y=[1, 3, 2]), layout={"paper_bgcolor": "black"})
    two = Explanation(
        "T",
        [Figure(FIGURE, "one", "a", dark), Figure(FIGURE, "two", 'b" onload="x')],
    )
    page = two.html()
    assert page.count("plotly.js v") == 1
    assert page.count("Plotly.newPlot(") >= 3
    assert 'class="drawing dark"' in page
    assert 'aria-label="b&quot; onload=&quot;x"' in page
    assert "<figcaption>two</figcaption>" in page
    assert len(Explanation("T", [Prose("x")]).html()) < 10_000


def test_a_figure_cannot_end_its_script():
    figure = go.Figure(go.Scatter(y=[1], name="</script><b id=broken>"))
    assert "<b id=broken>" not in Explanation("T", [Figure(figure, "c", "a")]).html()


def test_notebooks_and_print():
    explanation = every_piece()
    assert explanation._repr_markdown_() == explanation.markdown()
    assert explanation._repr_html_().startswith("<style>")
    assert str(explanation) == explanation.text()
    assert repr(explanation) == "<Explanation: All of $x_t$, 12 pieces>"
    assert [check.holds for check in explanation.checks] == [True, False]
    assert len(explanation.figures) == 1


def test_joining_puts_the_second_below_the_first():
    a = Explanation("A", [Prose("one")])
    b = Explanation("B", [Heading("part"), Prose("two")])
    both = a + b
    assert both.title == "A"
    assert [p.text for p in both.pieces if isinstance(p, Heading | Prose)] == [
        "one",
        "B",
        "part",
        "two",
    ]
    assert [p.level for p in both.pieces if isinstance(p, Heading)] == [2, 3]
    three = joined("C", [a, b]).pieces
    assert [p.text for p in three if isinstance(p, Heading | Prose)] == [
        "A",
        "one",
        "B",
        "part",
        "two",
    ]


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Heading("x", 1), "level: expected 2 or 3"),
        (lambda: Prose("a $ sign"), "expected \\$ in pairs"),
        (lambda: Prose("a $\\nonsense$ formula"), "nonsense is not known"),
        (lambda: Equation("{"), "latex: expected"),
        (lambda: Vector("x", [[1.0]]), "values: expected 1 dimension"),
        (lambda: Vector("x", [1.0], shown=[1]), "shown: expected 0 to 0, got 1"),
        (lambda: Matrix("x", np.ones((2, 2)), rows=[2]), "rows: expected 0 to 1, got 2"),
        (lambda: Table(["a"], [["x", "y"]]), "rows: expected 1 texts each"),
        (lambda: Table(["a"], [["x"]], align="c"), "align: expected 1 letters"),
        (lambda: Figure("no figure", "c", "a"), "figure: expected a plotly figure, got str"),
        (lambda: Figure(FIGURE, "c", ""), "alt: expected"),
        (
            lambda: Explanation("x", ["text"]),  # type: ignore[list-item]
            "pieces: expected Heading, .*; got str",
        ),
        (lambda: every_piece().text(10), "width: expected at least 40"),
    ],
)
def test_bad_pieces_are_refused(make, part):
    with pytest.raises(InputError, match=part):
        make()
