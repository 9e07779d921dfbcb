"""Figures as files: the bytes are what the ending says, and nothing is left half-written."""

import asyncio
import os
import re
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import plotly.graph_objects as go
import pytest

from glasscell import plots
from glasscell.errors import InputError
from glasscell.files import WriteError
from glasscell.plots import files


@pytest.fixture
def figure():
    return go.Figure(go.Scatter(y=[1, 3, 2], name="a curve"), layout={"height": 250})


def needs_a_browser():
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    from choreographer.browsers.chromium import Chromium

    if Chromium.find_browser(skip_local=False) is None:
        pytest.skip("no Chrome or Chromium was found to draw pictures")


def children() -> set[int]:
    """Processes of ours, and theirs."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    state, parent = stat.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                parents[int(entry)] = int(parent)
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def test_a_page_is_whole_and_asks_for_nothing(figure, tmp_path):
    path = plots.save(figure, tmp_path / "figure.html")
    page = path.read_text("utf-8")
    assert "<html>" in page[:100]
    assert page.rstrip().endswith("</html>")
    assert "a curve" in page
    assert not re.search(r"<script[^>]+src=|<link[^>]+href=", page)


def test_pictures_are_what_their_ending_says(figure, tmp_path):
    needs_a_browser()
    png = plots.save(figure, str(tmp_path / "figure.PNG"), width=300, scale=2).read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (600, 500)  # px of the figure, twice
    svg = plots.save(figure, tmp_path / "figure.svg").read_text("utf-8")
    assert svg.startswith("<svg")
    assert 'width="1000"' in svg
    assert 'height="250"' in svg
    assert plots.save(figure, tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF-")
    assert sorted(os.listdir(tmp_path)) == ["figure.PNG", "figure.pdf", "figure.svg"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are counted in /proc")
def test_no_browser_is_left_running(figure, tmp_path):
    needs_a_browser()
    before = children()
    plots.save(figure, tmp_path / "figure.svg")
    assert children() <= before


def test_a_picture_is_drawn_within_a_running_event_loop(figure, tmp_path):
    needs_a_browser()

    async def notebook():
        return plots.save(figure, tmp_path / "figure.svg")

    # In a thread: where browser tests ran before, this one has a loop running already.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(lambda: asyncio.run(notebook())).result().exists()


def test_without_a_browser_it_says_what_to_install(figure, tmp_path, monkeypatch):
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-such-browser"))
    with pytest.raises(InputError, match=r"glasscell\[figures\].*Chrome or\s+Chromium"):
        plots.save(figure, tmp_path / "figure.png")
    assert os.listdir(tmp_path) == []


def browser_that(does, tmp_path, monkeypatch):
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\n{does}\n")
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(browser))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are counted in /proc")
@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("exit 3", "could not draw it: The browser seemed to close"),
        pytest.param("exec sleep 100", "had not drawn it after 6 s", marks=pytest.mark.slow),
    ],
)
def test_a_browser_that_fails_or_hangs_is_given_up(figure, tmp_path, monkeypatch, does, said):
    browser_that(does, tmp_path, monkeypatch)
    monkeypatch.setattr(files, "LONGEST", 6)
    monkeypatch.setattr(files, "PATIENCE", 1)
    before = children()
    with pytest.raises(InputError, match=said):
        plots.save(figure, tmp_path / "figure.png")
    assert children() <= before
    assert os.listdir(tmp_path) == ["browser"]


def test_without_kaleido_it_says_what_to_install(figure, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(InputError, match=r"glasscell\[figures\]"):
        plots.save(figure, tmp_path / "figure.png")


def test_bad_input_is_refused_and_what_was_there_stays(figure, tmp_path, monkeypatch):
    path = tmp_path / "figure.jpeg"
    with pytest.raises(InputError, match=r"\.html, \.png, \.svg, \.pdf, got .*figure\.jpeg"):
        plots.save(figure, path)
    with pytest.raises(InputError, match="expected an ending"):
        plots.save(figure, tmp_path / "figure")
    with pytest.raises(InputError, match="figure: expected a plotly figure, got ndarray"):
        plots.save(np.zeros(3), tmp_path / "figure.html")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="width: expected a positive number, got 0"):
        plots.save(figure, tmp_path / "figure.html", width=0)
    with pytest.raises(WriteError, match="there is no folder"):
        plots.save(figure, tmp_path / "none" / "figure.html")
    kept = tmp_path / "figure.html"
    kept.write_text("before")
    monkeypatch.setattr(go.Figure, "to_html", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plots.save(figure, kept)
    assert kept.read_text() == "before"
    assert os.listdir(tmp_path) == ["figure.html"]
