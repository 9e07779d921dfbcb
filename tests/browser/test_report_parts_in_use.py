"""The report's accounts, kicks and gradients in a real browser, by the ways that a reader takes."""

import json
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import glasscell
from glasscell import analysis
from glasscell.plots import language_report

pytestmark = pytest.mark.browser

LETTERS = list("the quick\n")
T, START, WINDOW = 60, 20, 24
READY = "document.documentElement.dataset.ready === 'yes'"
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"


class Made:
    """A page with all its parts, open, and what it was made from."""

    def __init__(self, context, folder, kind) -> None:
        torch.manual_seed(0)
        V = len(LETTERS)
        layer, head = kind(V, 10), nn.Linear(10, V)
        self.ids = torch.randint(V, (T,))

        def reads(tokens):
            return head(layer(4 * F.one_hot(tokens, V).float())[0])

        with torch.no_grad(), glasscell.trace(layer) as trace:
            logits = reads(self.ids[:, None])[:, 0]
        self.layer = trace["l0"]
        self.kicks = analysis.kick_survival(layer, self.layer, units=[0, 1, 2, 3, 4], window=20)
        flow = analysis.surprise_flow(
            nn.ModuleList([layer, head]), self.ids[START : START + WINDOW], reads, start=START
        )
        self.flow = analysis.SurpriseFlow(START, flow.surprise, {"l0": flow.layers["0.l0"]})
        self.troubles: list[str] = []
        path = folder / f"{kind.__name__}.html"
        page = language_report(
            trace, self.ids, logits, LETTERS, kicks={"l0": self.kicks}, flow=self.flow
        )
        path.write_text(page, "utf-8")
        self.page = context.new_page()
        self.page.on("console", lambda said: self.troubles.append(said.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.goto(path.as_uri())
        self.page.wait_for_function(READY)

    def settle(self) -> None:
        self.page.wait_for_function(READY)

    def shades(self, box: str) -> np.ndarray:
        """How strongly each token of a box is shaded, from -1 (blue) to 1."""
        return np.array(
            self.page.evaluate(
                """(box) => [...document.querySelectorAll(`#${box} > span`)].map((span) =>
                     (span.classList.contains("negative") ? -1 : 1) *
                     Number(span.style.getPropertyValue("--a")))""",
                box,
            )
        )


@pytest.fixture(scope="module")
def made(browser, tmp_path_factory):
    folder, pages = tmp_path_factory.mktemp("parts"), {}
    context = browser.new_context(viewport={"width": 1280, "height": 900})

    def make(kind=glasscell.LSTM) -> Made:
        if kind not in pages:
            pages[kind] = Made(context, folder, kind)
        report = pages[kind]
        report.page.bring_to_front()
        report.page.emulate_media(color_scheme="light")
        report.page.set_viewport_size({"width": 1280, "height": 900})
        report.settle()
        return report

    yield make
    context.close()
    assert [trouble for report in pages.values() for trouble in report.troubles] == []


def choose_unit(report: Made, unit: int) -> None:
    report.page.fill("#unit", str(unit))
    report.page.press("#unit", "Enter")
    report.settle()


@pytest.mark.parametrize("kind", [glasscell.LSTM, glasscell.GRU])
def test_the_ledger_follows_unit_and_token(made, kind):
    report = made(kind)
    for unit, t in ((3, 41), (7, 12)):
        choose_unit(report, unit)
        report.page.click(f'#ledger-text span[data-t="{t}"]')
        report.settle()
        expected = analysis.ledger(report.layer, t)
        put = expected.contributions[:, unit].numpy()
        most = np.abs(put).max()
        shades = report.shades("ledger-text")
        seen = np.where(np.abs(put) / most >= 0.004, put / most, 0)
        np.testing.assert_allclose(shades[: t + 1], seen, atol=1e-3)
        state = float(report.layer.sequence(report.layer.definition.state)[t, unit])
        total = report.page.evaluate("byId('ledger').data[2].y[0]")
        assert total == pytest.approx(state, abs=1e-6)
        told = report.page.inner_text("#ledger-told").replace("−", "-")
        assert told.startswith(f"Unit {unit} holds {state:+.3f} after “")
        columns = report.page.evaluate("byId('ledger').data[1].y")
        assert sum(columns) == pytest.approx(state, abs=1e-6)
        assert report.page.get_attribute("#text .marked", "data-t") == str(t)


def test_a_column_of_the_ledger_marks_its_token(made):
    report = made()
    report.page.click('#text span[data-t="40"]')
    report.settle()
    x = report.page.evaluate("byId('ledger').data[1].x.filter((x) => /^[0-9]+$/.test(x))[2]")
    report.page.evaluate("(x) => byId('ledger').emit('plotly_click', { points: [{ x }] })", x)
    report.settle()
    assert report.page.get_attribute("#ledger-text .marked", "data-t") == x
    report.page.locator("#ledger-text").press("ArrowLeft")
    report.settle()
    assert report.page.get_attribute("#ledger-text .marked", "data-t") == str(int(x) - 1)


def test_an_rnn_says_why_it_has_no_ledger_and_has_its_kicks(made):
    report = made(glasscell.RNN)
    assert "there is no account" in report.page.inner_text("section:has(#ledger-heading)")
    assert report.page.is_hidden("#ledger-body")
    choose_unit(report, 2)
    assert report.page.is_visible("#kicks")
    assert report.page.is_hidden("#memory-heading")
    shown = report.page.evaluate("byId('kicks').data.map((line) => line.meta)")
    assert shown == ["own", "whole"]


def test_memory_in_words_and_kicks_as_measured(made):
    report = made()
    choose_unit(report, 2)
    half = float(analysis.half_lives(report.layer)[2])
    told = report.page.inner_text("#memory-told")
    said = re.search(r"gone after ([\d.]+) steps? \(its half-life\)", told)
    assert said
    assert float(said[1]) == pytest.approx(half, rel=0.05)
    curve = report.page.evaluate("byId('kicks').data[0].y")
    np.testing.assert_allclose(curve, report.kicks.own[:, 2], rtol=1e-5)
    counts = [int(n) for n in report.page.locator("#scales em").all_inner_texts()]
    assert sum(counts) == 10  # not all units were kicked, so these are the gates' alone
    choose_unit(report, 8)
    assert "unit 8 is not among them" in report.page.inner_text("#kicks-told")
    assert report.page.is_hidden("#kicks")
    report.page.click("#kicks-offers button >> nth=0")
    report.settle()
    assert report.page.is_visible("#kicks")


@pytest.mark.parametrize("kind", [glasscell.LSTM, glasscell.GRU, glasscell.RNN])
def test_gradients_follow_the_token(made, kind):
    report = made(kind)
    page, flow = report.page, report.flow.layers["l0"]
    s = 15
    page.click(f'#flow-text span[data-t="{START + s}"]')
    report.settle()
    page.select_option("#flow-of", value="hidden")
    report.settle()
    row = flow.hidden[s].numpy()
    with np.errstate(divide="ignore"):
        expected = np.maximum(0, 1 + np.log10(row / row.max()) / 4)
    np.testing.assert_allclose(report.shades("flow-text"), expected, atol=2e-3)
    lines = page.evaluate("byId('flow-lines').data.map((line) => [line.meta, line.y])")
    for way, values in lines:
        back = getattr(flow, way)[s, :s].flip(0).numpy()
        shown = np.array([v or 0 for v in values])
        np.testing.assert_allclose(shown, back, rtol=1e-5)
    z = json.loads(page.evaluate("JSON.stringify(byId('flow').data[0].z)"))
    assert len(z) == WINDOW - 1
    most = float(flow.hidden.max())
    for t in (0, 7, 14):
        shown = max(-4.0, float(np.log10(row[t] / most))) if row[t] > 0 else -4.0
        assert z[s - 1][t] == pytest.approx(shown, abs=1e-4)
    assert z[s - 1][s] is None
    bits = float(report.flow.surprise[s])
    assert f"at step {START + s} was {bits:.1f} bits" in page.inner_text("#flow-told")


def test_outside_the_window_the_greatest_surprise_is_followed(made):
    report = made()
    report.page.click('#text span[data-t="3"]')
    report.settle()
    told = report.page.inner_text("#flow-told")
    greatest = START + int(report.flow.surprise.nan_to_num(-1).argmax())
    assert told.startswith("The marked token is outside this window")
    assert f"at step {greatest} was" in told
    assert report.page.get_attribute("#flow-text .marked", "data-t") == str(greatest)
    report.page.click("#flow-offers button >> nth=0")
    report.settle()
    assert not report.page.inner_text("#flow-told").startswith("The marked")


def test_a_row_of_the_map_chooses_its_surprise(made):
    report = made()
    report.page.evaluate(
        "(y) => byId('flow').emit('plotly_click', { points: [{ x: 22, y }] })", START + 9
    )
    report.settle()
    assert report.page.get_attribute("#text .marked", "data-t") == str(START + 9)
    frame = report.page.evaluate("byId('flow').layout.shapes[0].y0")
    assert frame == START + 9 - 0.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_every_part_is_drawn_and_fits(made, scheme, width):
    report = made()
    choose_unit(report, 1)
    report.page.emulate_media(color_scheme=scheme)
    report.page.set_viewport_size({"width": width, "height": 900})
    report.settle()
    report.page.wait_for_function(
        "['ledger', 'kicks', 'flow-lines', 'flow'].every((id) => "
        "byId(id).querySelector('.main-svg').getBoundingClientRect().width "
        "<= byId(id).clientWidth + 1)"
    )
    assert report.page.evaluate(OVERFLOW) <= 0
    papers = {"light": "rgb(255, 255, 255)", "dark": "rgb(25, 28, 34)"}
    for part in ("ledger", "kicks", "flow-lines", "flow"):
        drawn = report.page.evaluate(
            """(id) => [byId(id).querySelectorAll(
                 ".point path, path.js-line, .heatmaplayer image").length,
                 byId(id).querySelector(".main-svg").style.background]""",
            part,
        )
        assert drawn[0] > 0, part
        assert papers[scheme] in drawn[1], part


def test_the_page_keeps_its_place_when_a_token_is_chosen_below(made):
    report = made()
    report.page.locator("#flow-text").scroll_into_view_if_needed()
    top = "byId('flow-text').getBoundingClientRect().top"
    before = report.page.evaluate(top)
    report.page.click(f'#flow-text span[data-t="{START + 5}"]')
    report.settle()
    report.page.click(f'#flow-text span[data-t="{START + 20}"]')
    report.settle()
    assert report.page.evaluate(top) == pytest.approx(before, abs=60)


def test_nothing_moves_while_the_page_loads(made, browser):
    """What the browser itself counts as a shift of something in view, from the first paint on."""
    url = made().page.url
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(
        """window.shifts = [];
           new PerformanceObserver((list) => {
             for (const { value } of list.getEntries()) window.shifts.push(value);
           }).observe({ type: "layout-shift", buffered: true });"""
    )
    page.goto(url)
    page.wait_for_function(READY)
    assert sum(page.evaluate("window.shifts")) < 0.005
    page.close()
