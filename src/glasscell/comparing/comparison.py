"""What a comparison came to: scores, speeds, differences, and what they amount to."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from glasscell.comparing.intervals import Interval, mean_interval
from glasscell.comparing.measure import Measure
from glasscell.comparing.paired import Difference, differences
from glasscell.comparing.plan import PAGE, RESULT
from glasscell.comparing.questions import BASE, Question, question_of
from glasscell.comparing.run import Run
from glasscell.comparing.verdicts import Verdict, turned, verdict_of
from glasscell.comparing.words import sentence
from glasscell.files import write_file

if TYPE_CHECKING:
    from glasscell.explaining import Explanation

CONFIDENCE = 0.95


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
            the mean over seeds; None for a cell without a gate that keeps.
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
        return tuple(run for run in self.runs if run.status == "done")

    def how_many(self, status: str) -> int:
        """Runs that ended so."""
        return sum(run.status == status for run in self.runs)


@dataclass(frozen=True)
class Finding:
    """What one cell tells beside another.

    Attributes:
        cell, against: the two.
        question: what they differ in.
        difference: of scores, the cell's less the other's, over the seeds that both have done.
        seeds: those.
        verdict: by the rules of `glasscell.comparing.verdicts`.
        diverged: how many trainings of the two diverged.
        words: the same as a sentence.
    """

    cell: str
    against: str
    question: Question
    difference: Difference
    seeds: tuple[int, ...]
    verdict: Verdict
    diverged: int
    words: str

    def worth(self, measure: Measure) -> tuple[float, float, float]:
        """How much better a model is with the part in question, and between what: positive is
        better, whichever way the score goes."""
        sign = _sign(self.question, measure)
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
        margin: the largest difference that does not matter.
        confidence: of intervals and tests.
        facts: how it was made, in sentences.
        seconds: by the wall; of the last part, where it was gone on with.
    """

    title: str
    measure: Measure
    cells: tuple[CellResult, ...]
    findings: tuple[Finding, ...]
    margin: float
    confidence: float
    facts: tuple[str, ...]
    seconds: float

    @property
    def work(self) -> float:
        """Seconds that all trainings took together, whenever they ran."""
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
        """Everything as plain data; what is not finite is None."""
        return _finite(asdict(self))

    def explanation(self, *, figures: bool = True) -> Explanation:
        """The comparison as a document: `.html()`, `.markdown()` or `.text()` of it.

        Args:
            figures: whether with figures, which need plotly.
        """
        from glasscell.comparing.page import explanation

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


def comparison_of(
    runs: Sequence[Run],
    *,
    cells: Sequence[str],
    title: str,
    measure: Measure,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    facts: Sequence[str] = (),
    seconds: float = 0.0,
) -> Comparison:
    """What finished trainings come to.

    Args:
        runs: of all cells and seeds, in any order.
        cells: in the order in which they are shown, the plain LSTM first.
        title, measure, facts: of what was trained on.
        margin: the largest difference that does not matter; the measure's own if absent.
        confidence: of intervals and tests.
        seconds: by the wall.

    Raises:
        InputError: a confidence that is none.
    """
    margin = measure.margin if margin is None else margin
    results = tuple(_cell_result(cell, runs, confidence) for cell in cells if _of(runs, cell))
    names = [result.cell for result in results]
    questions = {cell: question_of(cell, names) for cell in names if cell != BASE}
    against = {
        cell: question.against if question.against in names else BASE
        for cell, question in questions.items()
    }
    pairs = {cell: _pairs(runs, cell, against[cell]) for cell in questions}
    found = differences(
        [[a - b for a, b in pairs[cell].values()] for cell in questions], confidence=confidence
    )
    findings = []
    for cell, difference in zip(questions, found, strict=True):
        diverged = sum(
            run.status == "diverged" for run in runs if run.cell in (cell, against[cell])
        )
        verdict = verdict_of(
            difference,
            better=_sign(questions[cell], measure),
            margin=margin,
            confidence=confidence,
            diverged=diverged,
        )
        finding = Finding(
            cell=cell,
            against=against[cell],
            question=questions[cell],
            difference=difference,
            seeds=tuple(pairs[cell]),
            verdict=verdict,
            diverged=diverged,
            words="",
        )
        own = {name: _of(runs, name) for name in (cell, against[cell])}
        findings.append(replace(finding, words=sentence(finding, measure, margin, own)))
    return Comparison(
        title, measure, results, tuple(findings), margin, confidence, tuple(facts), seconds
    )


def _sign(question: Question, measure: Measure) -> int:
    """1 where a larger difference, cell less other, speaks for the part in question; else -1."""
    with_the_part = -1 if question.change == "removes" else 1
    return -with_the_part if measure.lower_is_better else with_the_part


def _of(runs: Sequence[Run], cell: str) -> list[Run]:
    return sorted((run for run in runs if run.cell == cell), key=lambda run: run.seed)


def _pairs(runs: Sequence[Run], cell: str, other: str) -> dict[int, tuple[float, float]]:
    scores = [
        {run.seed: run.score for run in _of(runs, name) if run.score is not None}
        for name in (cell, other)
    ]
    return {seed: (scores[0][seed], scores[1][seed]) for seed in scores[0] if seed in scores[1]}


def _cell_result(cell: str, runs: Sequence[Run], confidence: float) -> CellResult:
    own = _of(runs, cell)
    done = [run for run in own if run.score is not None]

    def mean(name: str) -> float:
        values = [getattr(run, name) for run in done]
        return fmean(values) if values else math.nan

    def mean_or_none(name: str) -> float | None:
        values = [getattr(run, name) for run in done]
        return None if not values or None in values else fmean(values)

    return CellResult(
        cell=cell,
        hidden=own[0].size.hidden,
        parameters=own[0].parameters,
        runs=tuple(own),
        score=mean_interval([run.score for run in done if run.score is not None], confidence),
        updates=mean("updates"),
        training_speed=mean("training_speed"),
        inference_speed=mean("inference_speed"),
        memory_steps=mean_or_none("memory_steps"),
        longest_steps=mean_or_none("longest_steps"),
        learning_rate=own[0].learning_rate,
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
