"""The bench's tables: for eyes on a terminal, and as Markdown where the output goes elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.box import MARKDOWN, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from glasscell.bench import Goal, Measure, Outcome, Report, Row, Work, fraction_of_peak, peak

WITHOUT_TERMINAL = 200  # columns: a line of Markdown is never broken


class Tables:
    """Prints one table for each work as soon as it is measured."""

    def __init__(self) -> None:
        self._is_told = sys.stdout.isatty()
        width = None if self._is_told else WITHOUT_TERMINAL
        self._console = Console(width=width, highlight=False)
        self._missing: list[str] = []

    def head(self, report: Report) -> None:
        """What is run on, and who is not there."""
        machine = report.machine
        versions = ", ".join(f"{name} {each}" for name, each in machine["versions"].items())
        self._say(
            f"{machine['processor']}, {machine['instructions']}, {_threads(machine['threads'])} of "
            f"{machine['cores']} processors; Python {machine['python']}, {versions}"
        )
        if machine["load"] is not None and machine["load"] > 0.5:
            self._say(
                f"The load is {machine['load']:.1f} already: other programs will be in the way."
            )
        self._missing = report.missing
        if report.missing:
            absent = " and ".join(report.missing)
            self._say(f"Not compared, as not installed: {absent} (pip install 'glasscell[bench]').")

    @contextmanager
    def waiting(self, work: Work) -> Iterator[Callable[[str], None]]:
        """On a terminal's standard error, what is being measured."""
        console = Console(stderr=True)
        if not console.is_terminal:
            yield lambda case: None
            return
        with console.status(work.name) as status:
            yield lambda case: status.update(f"{work.name}: {' '.join(case.split())}")

    def show(self, outcome: Outcome, *, judged: bool = True) -> None:
        """One work: its table, what is remarkable about it, and where it is judged the verdict."""
        work, rows = outcome.work, list(outcome.rows)
        self._say("")
        self._say(f"{work.group}: {work.name}, against {work.against}", style="bold")
        if work.worst is not None:
            shown = sorted(rows, key=lambda row: row.ratio or 0)[: work.worst]
            self._say(f"The {len(shown)} worst of {len(rows)} rows:")
        else:
            shown = rows
        self._console.print(self._table(work, shown))
        for line in _remarks(outcome):
            self._say(line)
        if (verdict := outcome.verdict) is not None:
            style = None if not judged else "green" if verdict.met else "bold red"
            told = str(verdict) if judged else f"{verdict.figures}: a first look, and no verdict"
            assert work.goal is not None
            self._say(f"Promised: {work.goal.told()}.")
            without = ""
            if work.has_runtimes and self._missing:
                without = f" (without {' and '.join(self._missing)})"
            self._say(f"{told}{without}", style=style)

    def _table(self, work: Work, rows: list[Row]) -> Table:
        names = list(dict.fromkeys(name for row in rows for name in row.times))
        has_ratio = any(row.ratio is not None for row in rows)
        peaks = {row.case: part for row in rows if (part := fraction_of_peak(row)) is not None}
        has_engine = any(row.engine for row in rows)

        box = SIMPLE_HEAD if self._is_told else MARKDOWN
        table = Table(box=box, pad_edge=not self._is_told, padding=(0, 1))
        table.add_column("case")
        if has_engine:
            table.add_column("engine", style="dim")
        for name in names:
            table.add_column(name, justify="right")
        if has_ratio:
            measure = Measure.ratio if work.goal is None else work.goal.measure
            table.add_column(measure.value, justify="right", style="bold")
        if work.rates:
            table.add_column("tokens/s", justify="right", style="dim")
            table.add_column("GFLOP/s", justify="right", style="dim")
        if peaks:
            table.add_column("of peak", justify="right", style="dim")
        for row in rows:
            cells = [Text(" ".join(row.case.split()) if not self._is_told else row.case)]
            if has_engine:
                cells.append(Text(row.engine or ""))
            cells += [Text(_time(row.times[n].median) if n in row.times else "") for n in names]
            if has_ratio:
                cells.append(_figure(work, row))
            if work.rates:
                cells += [Text(rate) for rate in _rates(row)]
            if peaks:
                cells.append(Text(f"{peaks[row.case]:.0%}" if row.case in peaks else ""))
            table.add_row(*cells)
        return table

    def _say(self, line: str, style: str | None = None) -> None:
        self._console.print(line, style=style, markup=False, soft_wrap=True)


def _figure(work: Work, row: Row) -> Text:
    """What the goal is about, red where it is short of what every row must reach."""
    goal = work.goal or Goal()
    value = goal.measure.of(row)
    if value is None:
        return Text("")
    is_short = goal.each is not None and not goal.measure.reaches(value, goal.each)
    return Text(f"{value:.2f}", style="red" if is_short else "")


def _rates(row: Row) -> tuple[str, str]:
    """Our tokens a second, and billions of operations a second."""
    if not row.times:
        return "", ""
    flops = "" if row.flops is None else f"{row.flops / row.ours / 1e9:,.0f}"
    return f"{row.shape['N'] / row.ours:,.0f}", flops


def _remarks(outcome: Outcome) -> list[str]:
    remarks = []
    for row in outcome.rows:
        case = " ".join(row.case.split())
        remarks += [f"{case}: {name} is left out: {why}." for name, why in row.left_out.items()]
        if row.wrong is not None:
            remarks.append(f"{case}: OURS IS WRONG: {row.wrong}.")
        if row.note:
            remarks.append(f"{case}: {row.note}.")
    peaks = {
        f"{str(row.dtype).removeprefix('torch.')} {best / 1e9:,.0f} GFLOP/s"
        f" ({_threads(row.threads)})"
        for row in outcome.rows
        if (best := peak(row)) is not None
    }
    if peaks:
        remarks.append(f"Peak: torch's fastest matrix product, {', '.join(sorted(peaks))}.")
    if outcome.work.summary is not None:
        remarks += [f"{line}." for line in outcome.work.summary(outcome.rows)]
    return remarks


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1e3 * seconds:.2f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.1f} µs"
