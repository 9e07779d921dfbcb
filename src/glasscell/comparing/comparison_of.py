"""From finished trainings to what they come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from glasscell.comparing.comparison import CellResult, Comparison, Finding
from glasscell.comparing.measure import Measure
from glasscell.comparing.questions import BASE, question_of
from glasscell.comparing.report.words import remarks, sentence
from glasscell.comparing.trainings.run import Run
from glasscell.comparing.verdicts import verdict_of
from glasscell.statistics.intervals import mean_interval
from glasscell.statistics.paired import differences

CONFIDENCE = 0.95


def comparison_of(
    runs: Sequence[Run],
    *,
    cells: Sequence[str],
    title: str,
    measure: Measure,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    facts: Sequence[str] = (),
) -> Comparison:
    """What finished trainings come to.

    Args:
        runs: of all cells and seeds, in any order.
        cells: in the order in which they are shown, the plain LSTM first.
        title, measure, facts: of what was trained on.
        margin: the largest difference that does not matter; the measure's own if absent.
        confidence: of intervals and tests.

    Raises:
        InputError: a confidence that is none.
    """
    margin = measure.margin if margin is None else margin
    results = tuple(
        _cell_result(cell, runs, confidence, measure.bounds) for cell in cells if _of(runs, cell)
    )
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
            better=questions[cell].sign(lower_is_better=measure.lower_is_better),
            margin=margin,
            confidence=confidence,
            diverged=diverged,
            tells_nothing=measure.tells_nothing(
                [score for pair in pairs[cell].values() for score in pair], margin
            ),
        )
        finding = Finding(
            cell=cell,
            against=against[cell],
            question=questions[cell],
            difference=difference,
            seeds=tuple(pairs[cell]),
            verdict=verdict,
            words="",
        )
        own = {name: _of(runs, name) for name in (cell, against[cell])}
        findings.append(replace(finding, words=sentence(finding, measure, margin, own)))
    return Comparison(
        title=title,
        measure=measure,
        cells=results,
        findings=tuple(findings),
        remarks=remarks(results, measure, margin),
        margin=margin,
        confidence=confidence,
        facts=tuple(facts),
    )


def _of(runs: Sequence[Run], cell: str) -> list[Run]:
    return sorted((run for run in runs if run.cell == cell), key=lambda run: run.seed)


def _pairs(runs: Sequence[Run], cell: str, other: str) -> dict[int, tuple[float, float]]:
    scores = [
        {run.seed: run.score for run in _of(runs, name) if run.score is not None}
        for name in (cell, other)
    ]
    return {seed: (scores[0][seed], scores[1][seed]) for seed in scores[0] if seed in scores[1]}


def _cell_result(
    cell: str, runs: Sequence[Run], confidence: float, bounds: tuple[float, float]
) -> CellResult:
    own = _of(runs, cell)
    done = [run for run in own if run.score is not None]
    score = mean_interval([run.score for run in done if run.score is not None], confidence)

    def mean(name: str) -> float:
        values = [getattr(run, name) for run in done]
        return fmean(values) if values else math.nan

    def mean_or_none(name: str) -> float | None:
        values = [value for run in done if (value := getattr(run, name)) is not None]
        return fmean(values) if values else None

    return CellResult(
        cell=cell,
        hidden=own[0].size.hidden,
        parameters=own[0].parameters,
        runs=tuple(own),
        score=score.clipped(*bounds) if score.n > 1 else score,
        updates=mean("updates"),
        training_speed=mean("training_speed"),
        inference_speed=mean("inference_speed"),
        memory_steps=mean_or_none("memory_steps"),
        longest_steps=mean_or_none("longest_steps"),
        learning_rate=own[0].learning_rate,
    )
