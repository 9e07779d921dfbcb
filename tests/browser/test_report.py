"""The report in a real browser: it renders, answers, and shows the right numbers."""

import numpy as np
import pytest

import glasscell
from glasscell.analysis import saturation, units_by_memory

pytestmark = pytest.mark.browser

LETTERS = list("the quick\n")
FIGURES = ["strips", "ledger", "next", "saturation", "memory"]
VISIBLE = "[...document.querySelectorAll('.figure')].filter((div) => div.offsetParent)"


def figures_drawn(page) -> dict[str, int]:
    """How many shapes or images each figure that is shown holds."""
    return page.evaluate(
        f"Object.fromEntries({VISIBLE}"
        """.map((div) => [
             div.id || div.dataset.quantity,
             div.querySelectorAll(".heatmaplayer image, path.point, .point path").length]))"""
    )


def overflow(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def expected_strengths(layer, quantity: str, unit: int) -> np.ndarray:
    values = layer.sequence(quantity)[:, unit].numpy()
    if quantity == "cell":
        return np.tanh(values)
    return values if quantity.endswith("_gate") else values / np.abs(values).max()


def test_every_figure_is_drawn_and_nothing_overflows(opened):
    report = opened(LETTERS, 60)
    papers = {"light": "rgb(246, 245, 242)", "dark": "rgb(17, 19, 23)"}
    for scheme, colour in papers.items():
        report.page.emulate_media(color_scheme=scheme)
        report.settle()
        drawn = figures_drawn(report.page)
        assert set(drawn) == {*FIGURES, *report.trace["l0"].quantities}
        assert all(count > 0 for count in drawn.values()), drawn
        assert overflow(report.page) <= 0
        paper = report.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == colour


def test_the_text_is_shaded_by_the_chosen_layer_gate_and_unit(opened):
    report = opened(LETTERS, 60)
    page = report.page
    page.select_option("#layer", label="l0")
    for quantity in ("cell", "candidate", "forget_gate", "hidden"):
        page.check(f'input[value="{quantity}"]', force=True)
        page.fill("#unit", "7")
        page.press("#unit", "Enter")
        expected = expected_strengths(report.trace["l0"], quantity, 7)
        np.testing.assert_allclose(report.strengths(), expected, atol=0.01)
        page.click("#next-unit")
        expected = expected_strengths(report.trace["l0"], quantity, 8)
        np.testing.assert_allclose(report.strengths(), expected, atol=0.01)
    assert page.inner_text("#shade-name") == "unit 8"


def test_all_units_together_and_surprise_shade_the_text_too(opened):
    report = opened(LETTERS, 60)
    report.page.select_option("#layer", label="l1")
    report.page.check('input[value="input_gate"]', force=True)
    report.page.check("#mean")
    mean = report.trace["l1"].sequence("input_gate").mean(-1)
    np.testing.assert_allclose(report.strengths(), mean, atol=1e-3)
    report.page.check('input[value="surprise"]', force=True)
    log_p = report.logits.log_softmax(-1)
    bits = [-log_p[t - 1, t % len(LETTERS)].item() / np.log(2) for t in range(1, 60)]
    np.testing.assert_allclose(report.strengths()[1:], np.minimum(1, np.array(bits) / 8), atol=1e-3)


def test_a_token_shows_its_value_and_the_most_probable_next_tokens(opened):
    report = opened(LETTERS, 60)
    page = report.page
    page.select_option("#layer", label="l1")
    page.hover('#text span[data-t="12"]')
    assert page.inner_text("#detail-step") == "Step 12 of 59"
    assert page.inner_text("#detail-token") == "e"
    unit = int(page.input_value("#unit"))
    shown = float(page.inner_text("#detail-value").replace("−", "-"))
    assert shown == pytest.approx(report.trace["l1"].sequence("cell")[12, unit].item(), abs=0.01)
    p = report.logits[12].softmax(-1)
    best = [LETTERS[v].replace(" ", "␣").replace("\n", "⏎") for v in p.topk(5).indices.tolist()]
    assert page.locator("#detail-guesses code").all_inner_texts() == best


def test_clicking_a_token_marks_its_step_in_every_heat_map(opened):
    report = opened(LETTERS, 60)
    report.page.click('#text span[data-t="25"]')
    report.settle()
    marked = report.page.evaluate(
        "heatmapDivs().concat(byId('strips')).map((div) => div.layout.shapes[0].x0)"
    )
    assert marked == [25] * 7
    report.page.locator("#text").press("ArrowRight")
    assert report.page.inner_text("#detail-step") == "Step 26 of 59"
    assert report.page.get_attribute("#text .marked", "data-t") == "26"


def test_clicking_a_heat_map_chooses_its_unit_step_and_gate(opened):
    report = opened(LETTERS, 60)
    page = report.page
    page.select_option("#layer", label="l1")
    report.settle()
    plot = page.locator('[data-quantity="output_gate"]')
    plot.scroll_into_view_if_needed()
    # The middle of the cell in row 2 (the third longest memory) and column 15.
    x, y = plot.evaluate(
        """(div) => { const { _offset: left, _length: width } = div._fullLayout.xaxis;
                      const { _offset: top, _length: height } = div._fullLayout.yaxis;
                      return [left + width * 15.5 / 60, top + height * 2.5 / 10]; }"""
    )
    plot.click(position={"x": x, "y": y})
    report.settle()
    unit = units_by_memory(report.trace["l1"])[2].unit
    assert page.input_value("#unit") == str(unit)
    assert page.is_checked('input[value="output_gate"]')
    assert page.inner_text("#detail-step") == "Step 15 of 59"
    expected = expected_strengths(report.trace["l1"], "output_gate", unit)
    np.testing.assert_allclose(report.strengths(), expected, atol=0.01)


def test_heat_maps_scatter_and_bars_hold_the_traces_numbers(opened):
    report = opened(LETTERS, 60)
    report.page.select_option("#layer", label="l1")
    report.settle()
    layer = report.trace["l1"]
    shown = report.page.evaluate(
        """({ z: heatmapDivs()[1].data[0].z.map((row) => [...row]),
             x: byId("saturation").data[2].x, y: byId("saturation").data[2].y,
             bars: byId("memory").data[0].y })"""
    )
    by_memory = [unit for unit, _ in units_by_memory(layer)]
    np.testing.assert_allclose(shown["z"], layer.sequence("input_gate").T[by_memory], atol=0.005)
    forget = saturation(layer)["forget_gate"]
    np.testing.assert_allclose(shown["x"], forget.left, atol=1e-4)
    np.testing.assert_allclose(shown["y"], forget.right, atol=1e-4)
    np.testing.assert_allclose(shown["bars"], [span for _, span in units_by_memory(layer)])


def test_clicking_a_point_or_a_bar_chooses_its_unit(opened):
    report = opened(LETTERS, 60)
    report.page.check('input[value="surprise"]', force=True)
    for figure, unit, chosen in (("memory", 4, "cell"), ("saturation", 3, "input_gate")):
        report.page.evaluate(
            "([id, k]) => byId(id).emit('plotly_click', { points: [{ data: byId(id).data[0], "
            "customdata: k, x: String(k) }] })",
            [figure, unit],
        )
        report.settle()
        assert report.page.input_value("#unit") == str(unit)
        assert report.page.is_checked(f'input[value="{chosen}"]')


def test_zooming_along_the_steps_in_one_heat_map_zooms_all(opened):
    report = opened(LETTERS, 60)
    report.page.evaluate(
        "Plotly.relayout(heatmapDivs()[2], { 'xaxis.range[0]': 9.5, 'xaxis.range[1]': 19.5 })"
    )
    ranges = "heatmapDivs().concat(byId('strips')).map((div) => div.layout.xaxis.range.join())"
    report.page.wait_for_function(f"{ranges}.every((range) => range === '9.5,19.5')")


def test_long_texts_are_shown_a_window_at_a_time(opened):
    report = opened(LETTERS, 700)
    page = report.page
    assert page.inner_text("#window") == "Steps 0 to 239 of 700"
    page.click("#later")
    report.settle()
    assert page.inner_text("#window") == "Steps 240 to 479 of 700"
    page.click('#text span[data-t="690"]')
    report.settle()
    assert page.inner_text("#window") == "Steps 460 to 699 of 700"
    page.select_option("#window-size", label="all")
    report.settle()
    assert page.evaluate("heatmapDivs()[0].data[0].z[0].length") == 700


def test_hostile_text_is_shown_as_text(opened):
    evil = [
        "<script>document.title = 'caught'</script>",
        "</script><img src=x onerror=alert(1)>",
        "\"quotes\" & 'more'",
        "🦆",
        "שלום",
        "مرحبا",
        "\u202e",
        "\0",
        "\ud83d",
        "\u0301",
        "\r",
        "\t",
        "\n",
        "",
    ]
    report = opened(evil, 28, title=evil[0], facts={evil[1]: evil[0]})
    page = report.page
    assert page.title() == page.inner_text("h1") == evil[0]
    assert page.locator("img").count() == 0
    shown = page.evaluate("[...document.querySelectorAll('#text > span')].map(s => s.textContent)")
    assert shown[:7] == [*evil[:6], "⟨U+202E⟩"]
    assert shown[7:14] == ["␀", "⟨U+D83D⟩", "◌\u0301", "␍", "⇥\t", "⏎\n", ""]
    # Time runs from left to right, whatever the script.
    left = page.evaluate("[4, 5].map((t) => spans[t].getBoundingClientRect().left)")
    assert left == sorted(left)
    for t in range(14):
        page.evaluate("(t) => choose({ step: t })", t)
        report.settle()
    assert page.title() == evil[0]
    assert overflow(page) <= 0


@pytest.mark.parametrize("kind", [glasscell.GRU, glasscell.RNN])
def test_other_cells_have_their_figures_and_words(opened, kind):
    report = opened(LETTERS, 30, kind)
    has_gates = kind is glasscell.GRU
    assert report.page.is_visible("#memory-heading") == has_gates
    assert report.page.is_visible("#saturation-heading") == has_gates
    words = report.page.inner_text("main")
    assert ("were its update gate always at its mean, −1 / ln(mean z)" in words) == has_gates
    assert "forget gate" not in words


def test_one_token_is_enough(opened):
    report = opened(LETTERS, 1)
    assert report.page.inner_text("#detail-surprise") == "nothing came before"
    assert report.page.is_disabled("#later")


def test_the_page_follows_the_windows_width(opened):
    report = opened(LETTERS, 60)
    report.page.set_viewport_size({"width": 700, "height": 900})
    report.page.wait_for_function(
        VISIBLE + ".every((div) => "
        "div.querySelector('.main-svg').getBoundingClientRect().width <= div.clientWidth + 1)"
    )
    heights = report.page.evaluate(f"{VISIBLE}.map((div) => div.clientHeight)")
    assert min(heights) > 80
    assert overflow(report.page) <= 0
