"""A real Chromium, and the report opened in it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F

import glasscell
from glasscell.plots import language_report
from glasscell.tracing import Trace

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
READY = "document.documentElement.dataset.ready === 'yes'"


def chromium() -> str | None:
    """Where a Chromium is: $GLASSCELL_CHROMIUM, or one on the path."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = [os.environ.get("GLASSCELL_CHROMIUM"), *map(shutil.which, names)]
    return next((path for path in found if path), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    if path is None:
        pytest.skip("no Chromium was found; install one, or name it in GLASSCELL_CHROMIUM")
    # Chromium's own sandbox does not run for root, as in most containers.
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path) -> Iterator[Callable[[str], Any]]:
    """`open_page(html)`: a document in the browser. Afterwards: no error, and nothing was asked
    for."""
    troubles: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900})

    def opened(html: str) -> Any:
        path = tmp_path / f"page{len(context.pages)}.html"
        path.write_text(html, "utf-8")
        page = context.new_page()
        page.on("console", lambda said: troubles.append(said.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or troubles.append(r.url))
        page.goto(path.as_uri())
        return page

    yield opened
    context.close()
    assert troubles == []


class Opened(NamedTuple):
    """A report in the browser, and what it was made from."""

    page: Any
    trace: Trace
    tokens: list[str]
    logits: torch.Tensor

    def settle(self) -> None:
        """Waits until every figure shows what was chosen last."""
        self.page.wait_for_function(READY)

    def strengths(self) -> list[float]:
        """How strongly each token is shaded, from -1 (blue) to 1."""
        return self.page.evaluate(
            """[...document.querySelectorAll("#text > span")].map((span) =>
                 (span.classList.contains("negative") ? -1 : 1) *
                 Number(span.style.getPropertyValue("--a")))"""
        )


@pytest.fixture(scope="session")
def library(browser, tmp_path_factory) -> Iterator["Library"]:
    library = Library(browser, tmp_path_factory.mktemp("reports"))
    yield library
    library.context.close()


@pytest.fixture
def opened(library) -> Iterator[Callable[..., Opened]]:
    """`opened(vocabulary, T, kind)`: the report about a model that read T tokens in turn.

    Afterwards: whatever a test did to it, there was no error and no request.
    """
    library.troubles.clear()
    yield library.open
    assert library.troubles == []


class Library:
    """Reports, each opened once: a browser takes its time over plotly's five megabytes."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.context = browser.new_context()
        self.folder = folder
        self.reports: dict[str, Opened] = {}
        self.troubles: list[str] = []

    def open(self, vocabulary: list[str], T: int, kind=glasscell.LSTM, **options) -> Opened:
        key = repr((vocabulary, T, kind, options))
        if key not in self.reports:
            self.reports[key] = self._open(vocabulary, T, kind, **options)
        report = self.reports[key]
        report.page.bring_to_front()
        report.page.emulate_media(color_scheme="light")
        report.page.set_viewport_size({"width": 1280, "height": 900})
        report.page.evaluate("choose(structuredClone(window.atFirst ??= structuredClone(state)))")
        report.page.evaluate("redraw(everything)")
        report.settle()
        return report

    def _open(self, vocabulary: list[str], T: int, kind: Any, **options: Any) -> Opened:
        V = len(vocabulary)
        ids = torch.arange(T) % V
        layer = kind(V, 10, num_layers=2)
        with torch.no_grad(), glasscell.trace(layer) as trace:
            layer(4 * F.one_hot(ids, V).float()[:, None])
        logits = 2 * torch.randn(T, V)
        path = self.folder / f"report{len(self.reports)}.html"
        path.write_text(language_report(trace, ids, logits, vocabulary, **options), "utf-8")
        page = self.context.new_page()
        page.on("console", lambda said: self.troubles.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.troubles.append("a dialog"), dialog.dismiss()))
        page.on("request", lambda asked: self._note(asked.url))
        page.goto(path.as_uri())
        page.wait_for_function(READY)
        return Opened(page, trace, [vocabulary[v] for v in ids.tolist()], logits)

    def _note(self, url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            self.troubles.append(f"asked for {url}")
