"""What a comparison came to: scores, speeds, differences, and what they amount to."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glasscell.comparing.folder import PAGE, RESULT
from glasscell.comparing.measure import Measure
from glasscell.comparing.questions import Question
from glasscell.comparing.trainings.run import MEMORY, Run, memory_as_plain
from glasscell.comparing.verdicts import Verdict, turned
from glasscell.files import write_file
from glasscell.statistics.intervals import Interval
from glasscell.statistics.paired import Difference

if TYPE_CHECKING:
    from glasscell.explaining import Explanation


@dataclass(frozen=True)
class CellResult:
    """One cell over all its seeds.

    Attributes:
        cell: by name.
        hidden, parameters: of its model.
        runs: its trainings, by seed.
        score: the mean over seeds that were done, and its interval.
        updates: the mean number of updates.
        training_speed, inference_speed: tokens a second of one thread, the mean; NaN if none was
            done.
        memory_steps, longest_steps: how long half of the units, and nine in ten, remember at most:
            the mean over seeds; infinite where they never forget; None for a cell that writes its
            whole state anew at each step.
        learning_rate: the highest.
    """

    cell: str
    hidden: int
    parameters: int
    runs: tuple[Run, ...]
    score: Interval
    updates: float
    training_speed: float
    inference_speed: float
    memory_steps: float | None
    longest_steps: float | None
    learning_rate: float | None

    @property
    def done(self) -> tuple[Run, ...]:
        """Its trainings that came to their end."""
        return tuple(run for run in self.runs if run.status == "done")


@dataclass(frozen=True)
class Finding:
    """What one cell tells beside another.

    Attributes:
        cell, against: the two.
        question: what they differ in.
        difference: of scores, the cell's less the other's, over the seeds that both have done.
        seeds: those.
        verdict: by the rules of `glasscell.comparing.verdicts`.
        words: the same as a sentence.
    """

    cell: str
    against: str
    question: Question
    difference: Difference
    seeds: tuple[int, ...]
    verdict: Verdict
    words: str

    def worth(self, measure: Measure) -> tuple[float, float, float]:
        """How much better a model is with the part in question, and between what: positive is
        better, whichever way the score goes."""
        sign = self.question.sign(lower_is_better=measure.lower_is_better)
        low, high = turned(self.difference.together, sign)
        return sign * self.difference.mean, low, high


@dataclass(frozen=True)
class Comparison:
    """Cells beside each other on one's own data: what `glasscell.compare` returns.

    It shows itself in a notebook; `print` gives its text.

    Attributes:
        title: what was compared on.
        measure: what the score is.
        cells: each with its trainings, the plain LSTM first.
        findings: each cell but the first beside the one that it differs from.
        remarks: what else should be known of the scores, in sentences: that cells do no better
            than a level, that the task is too easy to tell them apart, ...
        margin: the largest difference that does not matter.
        confidence: of intervals and tests.
        facts: how it was made, in sentences.
    """

    title: str
    measure: Measure
    cells: tuple[CellResult, ...]
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...]
    margin: float
    confidence: float
    facts: tuple[str, ...]

    @property
    def work(self) -> float:
        """Seconds of wall-clock time that all trainings took together, whenever they ran."""
        return sum(run.wall_seconds for cell in self.cells for run in cell.runs)

    @property
    def words(self) -> tuple[str, ...]:
        """What the data needs, a sentence a cell."""
        return tuple(finding.words for finding in self.findings)

    def __getitem__(self, cell: str) -> CellResult:
        for each in self.cells:
            if each.cell == cell:
                return each
        raise KeyError(cell)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data: `work` too. What is not finite is None, but for memories: an
        infinite one is the text "Infinity", as None says that a cell has none."""
        return _finite({**asdict(self), "work": self.work})

    def explanation(self, *, figures: bool = True) -> Explanation:
        """The comparison as a document: `.html()`, `.markdown()` or `.text()` of it.

        Args:
            figures: whether with figures, which need plotly.
        """
        from glasscell.comparing.report.page import explanation

        return explanation(self, figures=figures)

    def save(self, folder: str | Path) -> None:
        """Writes comparison.json and comparison.html into a folder, each whole or not at all.

        Raises:
            WriteError: a file cannot be written.
        """
        folder = Path(folder)
        data = json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n"
        write_file(folder / RESULT, data.encode())
        write_file(folder / PAGE, self.explanation().html().encode("utf-8", "replace"))

    def __str__(self) -> str:
        return self.explanation(figures=False).text(width=100)

    def _repr_html_(self) -> str:
        return self.explanation()._repr_html_()


def _finite(value: Any, name: str = "") -> Any:
    if name in MEMORY:
        return memory_as_plain(value)
    if isinstance(value, dict):
        return {key: _finite(each, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
