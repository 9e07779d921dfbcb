"""An explanation in a real browser: maths that is laid out, on light and on dark paper."""

import plotly.graph_objects as go
import pytest

from glasscell.explaining import Explanation, Figure
from glasscell.explaining.forget_layer import forget_layer

pytestmark = pytest.mark.browser

DARK = {"paper_bgcolor": "#111111"}


@pytest.fixture
def page(open_page):
    """The forget layer with a figure, opened."""
    light, dark = (go.Figure(go.Scatter(y=[1, 3, 2]), layout=layout) for layout in ({}, DARK))
    told = forget_layer() + Explanation("A figure", [Figure(light, "a curve", "up, down", dark)])
    return open_page(told.html())


def test_matrices_are_laid_out_as_matrices(page):
    wide = page.locator("mtable.bmatrix").filter(has_text="10").first
    assert wide.locator("mtr").count() == 3
    boxes = [cell.bounding_box() for cell in wide.locator("mtr").first.locator("mtd").all()]
    assert len({round(box["y"]) for box in boxes}) == 1
    assert [box["x"] for box in boxes] == sorted({box["x"] for box in boxes})
    assert wide.evaluate("e => getComputedStyle(e).borderLeftWidth") != "0px"


def test_light_dark_and_narrow(page):
    def colours() -> list[str]:
        return page.evaluate(
            """[getComputedStyle(document.body).backgroundColor,
                getComputedStyle(document.querySelector("article")).color]"""
        )

    def drawn() -> list[bool]:
        return [d.is_visible() for d in page.locator(".drawing .js-plotly-plot").all()]

    page.emulate_media(color_scheme="light")
    assert colours() == ["rgb(250, 249, 247)", "rgb(29, 33, 41)"]
    assert drawn() == [True, False]
    page.emulate_media(color_scheme="dark")
    assert colours() == ["rgb(17, 19, 23)", "rgb(230, 232, 236)"]
    assert drawn() == [False, True]
    page.wait_for_function(
        """document.querySelector(".drawing.dark .main-svg").getBoundingClientRect().width ==
           document.querySelector("figure").getBoundingClientRect().width"""
    )
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
