"""What a comparison found, on a terminal: words first, then the numbers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.box import MARKDOWN, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from glasscell.comparing.report.numerals import chosen, count, memory, p_value
from glasscell.comparing.times_in_words import in_words
from glasscell.comparing.verdicts import Verdict

if TYPE_CHECKING:
    from glasscell.comparing import Comparison

STYLES = {
    Verdict.HELPS: "green",
    Verdict.HURTS: "red",
    Verdict.UNSTABLE: "red",
    Verdict.NO_DIFFERENCE: "blue",
}
MEMORY = (
    "memory: how many steps half of the units keep their state at most, and nine in ten, by what "
    "multiplies it alone"
)
WITHOUT_TERMINAL = 200  # columns: a line of Markdown is never broken


def show(found: Comparison) -> None:
    """Prints it to standard output: for eyes on a terminal, as Markdown elsewhere."""
    is_terminal = sys.stdout.isatty()
    console = Console(width=None if is_terminal else WITHOUT_TERMINAL, highlight=False)
    console.print(
        f"{found.title}: {found.measure.name}, "
        f"{'less' if found.measure.lower_is_better else 'more'} is better; "
        f"{in_words(found.work)} of work in all trainings together",
        markup=False, style="bold", soft_wrap=True,
    )  # fmt: skip
    console.print(_scores(found, is_terminal))
    for name, value in found.measure.levels:
        console.print(f"{name}: {found.measure.told(value)}", markup=False, style="dim")
    console.print(_costs(found, is_terminal))
    console.print(MEMORY, markup=False, style="dim", soft_wrap=not is_terminal)
    for cell in found.cells:
        for run in cell.runs:
            if run.status != "done":
                console.print(
                    f"{cell.cell}, seed {run.seed}: {run.status}: {run.why}",
                    markup=False, style="red", soft_wrap=True,
                )  # fmt: skip
    console.print()
    for remark in found.remarks:
        console.print(Text(remark, style="yellow"), soft_wrap=not is_terminal)
    for finding in found.findings:
        console.print(
            Text(finding.words, style=STYLES.get(finding.verdict, "")),
            soft_wrap=not is_terminal,
        )


def _scores(found: Comparison, is_terminal: bool) -> Table:
    measure = found.measure
    interval = f"{found.confidence:.0%} interval"
    table = _table(["cell", "score", interval, "against lstm", "p (Holm)"], is_terminal)
    table.columns[1].style = "bold"
    findings = {finding.cell: finding for finding in found.findings}
    for cell in found.cells:
        score = cell.score
        difference = p = ""
        if (finding := findings.get(cell.cell)) is not None and finding.difference.n:
            difference = measure.told(finding.difference.mean, sign=True)
            if finding.against != found.cells[0].cell:
                difference += f" ({finding.against})"
            p = p_value(finding.difference.p_adjusted)
        table.add_row(
            cell.cell,
            measure.told(score.mean) if score.n else "none",
            f"{measure.told(score.low)} to {measure.told(score.high)}" if score.n > 1 else "",
            difference,
            p,
        )
    return table


def _costs(found: Comparison, is_terminal: bool) -> Table:
    choices = chosen(found.cells)
    names = ["units", "parameters", "updates", "tokens/s", "memory", *(name for name, _ in choices)]
    table = _table(["cell", *names], is_terminal)
    for cell in found.cells:
        table.add_row(
            cell.cell,
            f"{cell.hidden:,}",
            f"{cell.parameters:,}",
            count(cell.updates),
            count(cell.training_speed),
            memory(cell),
            *(told(cell) for _, told in choices),
        )
    return table


def _table(names: list[str], is_terminal: bool) -> Table:
    table = Table(
        box=SIMPLE_HEAD if is_terminal else MARKDOWN, pad_edge=not is_terminal, padding=(0, 1)
    )
    for k, name in enumerate(names):
        table.add_column(name, justify="right" if k else "left")
    return table
