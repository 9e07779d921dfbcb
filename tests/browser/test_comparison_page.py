"""A comparison's page in a real browser: drawn, and within its window, at any width."""

import pytest
from tests.comparing.made_up import made_up

pytestmark = pytest.mark.browser

LSTM = [1.90, 1.92, 1.91, 1.93, 1.90]
SCORES = {
    "lstm": LSTM,
    "peephole": [1.91, 1.91, 1.92, 1.92, 1.90],
    "no_forget_gate": [2.10, 2.14, 2.11, 2.12, None],
    "lstm(output_gate=None, forget_gate=None)": [2.2, 2.1, 2.15, 2.12, 2.11],
}


@pytest.fixture
def page(open_page):
    return open_page(made_up(SCORES).explanation().html())


def test_words_tables_and_figures(page):
    assert page.locator("h1").inner_text() == "Which cell this data needs: book.txt"
    assert "The forget gate: cannot be judged" in page.locator("ul").first.inner_text()
    assert page.locator("table").count() == 3
    drawn = [plot.is_visible() for plot in page.locator(".drawing .js-plotly-plot").all()]
    assert drawn == [True, False] * 3
    # a dot for each training that was done
    dots = page.locator("figure").first.locator(".drawing.light .points path.point")
    assert dots.count() == sum(s is not None for each in SCORES.values() for s in each) + len(
        SCORES
    )


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function(
        """[...document.querySelectorAll(".drawing.light .main-svg")].every(
             (svg) => svg.getBoundingClientRect().right <= innerWidth)"""
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
