"""How a comparison is going: a table on a terminal, a line for each training elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from glasscell.comparing.measure import Measure
from glasscell.comparing.times_in_words import in_words
from glasscell.comparing.trainings.run import Run

BAR = " ▏▎▍▌▋▊▉█"  # eighths of a character


class ProgressDisplay:
    """A row for each cell, a column for each seed. Use as a context manager.

    Args:
        cells, seeds: of the comparison.
        measure: what scores are.
        shown: whether anything is shown at all.
    """

    def __init__(
        self, cells: Sequence[str], seeds: Sequence[int], measure: Measure, *, shown: bool
    ) -> None:
        self.cells, self.seeds, self.measure, self.shown = cells, seeds, measure, shown
        self.console = Console(file=sys.stderr, stderr=True, highlight=False, soft_wrap=True)
        self.live: Live | None = None
        self.heading = ""
        self._began = time.monotonic()
        self._progress: dict[tuple[str, int], tuple[float, float | None]] = {}
        self._runs: dict[tuple[str, int], Run] = {}

    def __enter__(self) -> ProgressDisplay:
        if self.shown and self.console.is_terminal:
            self.live = Live(
                console=self.console, get_renderable=self.table, refresh_per_second=4,
                transient=True,
            )  # fmt: skip
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def say(self, text: str) -> None:
        """What is being done now."""
        self.heading = text
        if self.shown and self.live is None:
            self.console.print(text, markup=False)

    def progress(self, cell: str, seed: int, done: float, score: float | None = None) -> None:
        """How far a training is, and its last validation."""
        before = self._progress.get((cell, seed), (0.0, None))[1]
        self._progress[cell, seed] = (done, before if score is None else score)

    def finished(self, run: Run, *, before: bool = False) -> None:
        """A training has ended.

        Args:
            before: in an earlier part of the comparison, which is not told again.
        """
        self._runs[run.cell, run.seed] = run
        self._progress.pop((run.cell, run.seed), None)
        if not self.shown or self.live is not None or before:
            return
        what = f"{run.cell}, seed {run.seed}"
        count = f"[{len(self._runs)}/{len(self.cells) * len(self.seeds)}]"
        if run.score is None:
            self.console.print(f"{count} {what}: {run.status}: {run.why}", markup=False)
            return
        self.console.print(
            f"{count} {what}: {self.measure.told(run.score)} {self.measure.name}, "
            f"{run.updates:,} updates in {in_words(run.wall_seconds)}",
            markup=False,
        )

    def table(self) -> Table:
        """The table as it is now."""
        passed = in_words(time.monotonic() - self._began)
        total = len(self.cells) * len(self.seeds)
        table = Table(
            box=SIMPLE_HEAD,
            title=f"{self.heading}   {len(self._runs)} of {total} trainings, {passed}",
            title_justify="left",
            title_style="bold",
            pad_edge=False,
        )
        table.add_column("cell")
        for seed in self.seeds:
            table.add_column(f"seed {seed}", justify="right")
        for cell in self.cells:
            table.add_row(cell, *(self._place(cell, seed) for seed in self.seeds))
        return table

    def _place(self, cell: str, seed: int) -> Text:
        run = self._runs.get((cell, seed))
        if run is not None:
            if run.score is not None:
                return Text(self.measure.told(run.score), style="bold")
            return Text(run.status, style="red")
        if (cell, seed) not in self._progress:
            return Text("·", style="dim")
        done, score = self._progress[cell, seed]
        text = Text(f"{BAR[min(8, int(8 * done))]} {done:4.0%}", style="cyan")
        if score is not None:
            text.append(f" {self.measure.told(score)}", style="dim")
        return text
