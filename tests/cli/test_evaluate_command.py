"""`glasscell evaluate` on a terminal: a long text shows how far it is."""

import re

import pytest

from glasscell.cli import evaluate


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich takes this for a terminal
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize("files", [[], ["book.txt"], ["-"]])
def test_a_long_text_shows_a_bar_that_goes_away(cli, trained, book, terminal, monkeypatch, files):
    quiet = cli("evaluate", trained, *files, stdin=book.read_bytes())
    monkeypatch.setattr(evaluate, "LONG", 0)
    monkeypatch.setattr(evaluate, "BLOCK", 100)
    shown = cli("evaluate", trained, *files, stdin=book.read_bytes())
    assert (shown.code, shown.out) == (quiet.code, quiet.out)
    assert re.search(r"\d+/(\d+|\?)", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.err))
    assert shown.err.endswith("\x1b[2K")  # the line is wiped
    assert (quiet.err == "") == (files != ["-"])  # how long standard input is, nobody knows


def test_without_a_terminal_there_is_no_bar(cli, trained, monkeypatch):
    monkeypatch.setattr(evaluate, "LONG", 0)
    assert cli("evaluate", trained).err == ""
