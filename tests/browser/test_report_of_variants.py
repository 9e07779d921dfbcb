"""The report about variants in a real browser: all of it is drawn, and what is told holds."""

from functools import partial

import pytest

import glasscell
from glasscell.cells import Custom

pytestmark = pytest.mark.browser

LETTERS = list("the quick\n")
VISIBLE = "[...document.querySelectorAll('.figure')].filter((div) => div.offsetParent)"


def leaky(now):
    return now.carry(0.5 * now.before() + now.gate("input_gate") * now.gate("candidate"))


OWN = Custom(leaky, gates=("input_gate", "candidate"))  # type: ignore[arg-type]


def told(page) -> str:
    """All words that are shown."""
    return " ".join(page.inner_text("main").split())


@pytest.mark.parametrize(
    ("cell", "says", "says_not"),
    [
        (
            "coupled",
            ["were what stays at a step always at its mean", "The account of the cell state"],
            ["forget gate always", "A simple RNN"],
        ),
        ("mut1", ["The account of the hidden state", "what stays at a step"], ["A simple RNN"]),
        ("slstm", ["were its forget gate always at its mean", "Normalizer"], ["A simple RNN"]),
        (
            OWN,
            ["What a step of one's own keeps", "A variant: which gates"],
            ["A simple RNN", "The account of"],
        ),
    ],
    ids=["coupled", "mut1", "slstm", "own"],
)
def test_what_is_drawn_and_told_is_the_cells(opened, cell, says, says_not):
    report = opened(LETTERS, 60, partial(glasscell.Recurrent, cell=cell))
    page, layer = report.page, report.trace["l0"]
    drawn = page.evaluate(
        f"Object.fromEntries({VISIBLE}.map((div) => [div.id || div.dataset.quantity, "
        """div.querySelectorAll(".heatmaplayer image, path.point, .point path").length]))"""
    )
    figures = {"strips", "next", *layer.quantities}
    if layer.carry() is not None:
        figures |= {"ledger", "saturation", "memory"}
    assert set(drawn) == figures
    assert all(count > 0 for count in drawn.values()), drawn
    words = told(page)
    for each in says:
        assert each in words
    for each in says_not:
        assert each not in words
