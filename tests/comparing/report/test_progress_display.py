"""How a comparison is going: lines, or a table on a terminal."""

import io

from rich.console import Console
from tests.comparing.made_up import BITS, run

from glasscell.comparing.report.progress_display import ProgressDisplay


def display(shown=True, terminal=False):
    told = ProgressDisplay(["lstm", "gru"], [0, 1], BITS, shown=shown)
    out = io.StringIO()
    told.console = Console(file=out, force_terminal=terminal, width=100)
    return told, out


def test_lines_where_there_is_no_terminal():
    told, out = display()
    with told:
        told.say("Training")
        told.progress("lstm", 0, 0.4)
        told.finished(run("lstm", 1, 2.5), before=True)
        told.finished(run("lstm", 0, 1.9))
        told.finished(run("gru", 0, None, status="diverged", why="the loss became nan at step 7"))
    assert out.getvalue().splitlines() == [
        "Training",
        "[2/4] lstm, seed 0: 1.900 bits a character, 100 updates in 1.5 s",
        "[3/4] gru, seed 0: diverged: the loss became nan at step 7",
    ]


def test_the_table():
    told, _ = display(terminal=True)
    told.say("Training")
    told.progress("gru", 0, 0.42, 2.5)
    told.progress("gru", 0, 0.5)
    told.finished(run("lstm", 0, 1.9))
    told.finished(run("gru", 1, None, status="failed", why="killed"))
    drawn = io.StringIO()
    Console(file=drawn, width=100).print(told.table())
    text = drawn.getvalue()
    assert "2 of 4 trainings" in text
    lstm, gru = (
        next(line for line in text.splitlines() if cell in line) for cell in ("lstm", "gru")
    )
    assert "1.900" in lstm
    assert "·" in lstm
    assert "50% 2.500" in gru
    assert "failed" in gru


def test_the_table_lives_on_a_terminal_and_says_nothing_when_quiet():
    told, out = display(terminal=True)
    with told:
        told.finished(run("lstm", 0, 1.9))
        assert told.live is not None
    assert told.live is None
    assert "\x1b" in out.getvalue()
    quiet, out = display(shown=False)
    with quiet:
        quiet.say("x")
        quiet.finished(run("lstm", 0, 1.9))
    assert out.getvalue() == ""
