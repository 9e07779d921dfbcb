"""The sentences that say what a comparison found: each follows from a verdict and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from glasscell.comparing.measure import Measure
from glasscell.comparing.questions import Question
from glasscell.comparing.statistics.verdicts import FEWEST, Verdict
from glasscell.comparing.trainings.run import Run

if TYPE_CHECKING:
    from glasscell.comparing.comparison import Finding

MANY_MORE = 1.25  # times as many updates, from which on that is said


def sentence(
    finding: Finding, measure: Measure, margin: float, runs: Mapping[str, Sequence[Run]]
) -> str:
    """What a finding says: "The forget gate: yes, worth 0.21 bits a character (0.18 to 0.24)."

    Args:
        margin: the largest difference that does not matter.
        runs: of the two cells, by name.
    """
    part = finding.question.part.rstrip(",")
    said = _judged(finding, measure, margin, runs)
    if finding.verdict not in (Verdict.UNSTABLE, Verdict.TOO_FEW):
        said += _how_many_updates(finding, runs)
    lost = [f"{name} from seed {run.seed}" for name in runs for run in runs[name]
            if run.status == "failed"]  # fmt: skip
    if lost:
        said += f" Left out, as the training failed: {', '.join(lost)}."
    return f"{part[0].upper()}{part[1:]}: {said}"


def _judged(
    finding: Finding, measure: Measure, margin: float, runs: Mapping[str, Sequence[Run]]
) -> str:
    worth, low, high = finding.worth(measure)
    unit, n = measure.name, finding.difference.n
    between = f"between {measure.told(low, sign=True)} and {measure.told(high, sign=True)}"
    match finding.verdict:
        case Verdict.UNSTABLE:
            rest = ""
            if n >= 2:
                rest = (
                    f" In the {n} pairs of seeds that are left, {_what(finding.question)} is worth "
                    f"{measure.told(worth, sign=True)} {unit}, which flatters whoever diverged."
                )
            return f"cannot be judged by scores: {_fell_apart(runs)}.{rest}"
        case Verdict.TOO_FEW if n == 0:
            return "cannot tell: no seed was trained to the end by both cells."
        case Verdict.TOO_FEW:
            pairs = "1 pair of seeds" if n == 1 else f"{n} pairs of seeds"
            return (
                f"too few seeds to tell: {measure.told(worth, sign=True)} {unit} in {pairs}, and "
                f"at least {FEWEST} are needed to know how far chance goes."
            )
        case Verdict.HELPS | Verdict.HURTS:
            size = abs(worth)
            ends = sorted((abs(low), abs(high))) if low * high > 0 else (low, high)
            sure = f"{measure.told(ends[0])} to {measure.told(ends[1])}"
            small = ""
            if max(abs(low), abs(high)) <= margin:
                small = f" Less than the {measure.told(margin)} that would matter."
            elif low * high <= 0:
                small = " The test finds it; the interval, which is wider, just holds 0."
            how = _found(finding.question, finding.verdict)
            return f"{how} {measure.told(size)} {unit} ({sure}).{small}"
        case Verdict.NO_DIFFERENCE:
            return f"no difference that matters ({between} {unit})."
        case _:
            return f"cannot tell, {between} {unit}."


def _found(question: Question, verdict: Verdict) -> str:
    helps = verdict is Verdict.HELPS
    it = "them" if question.part.endswith("s") else "it"
    if question.change == "removes":
        return "yes, worth" if helps else f"no, without {it} the score is better by"
    if question.change == "adds":
        return "yes, worth" if helps else f"no, with {it} the score is worse by"
    if question.change == "begins":
        return "better by" if helps else "worse by"
    return "better than the LSTM by" if helps else "worse than the LSTM by"


def _how_many_updates(finding: Finding, runs: Mapping[str, Sequence[Run]]) -> str:
    """A warning where one of the two made many more updates than the other in the same time."""
    own, others = (
        fmean(run.updates for run in runs[name] if run.score is not None)
        for name in (finding.cell, finding.against)
    )
    times = max(own / others, others / own)
    if times < MANY_MORE:
        return ""
    slow, fast = (
        (finding.cell, finding.against) if own < others else (finding.against, finding.cell)
    )
    return (
        f" In the same time {slow} made {times:.1f} times fewer updates than {fast}: to compare "
        "them update by update, give steps (--steps)."
    )


def _what(question: Question) -> str:
    return "it" if question.change != "replaces" else "this cell"


def _fell_apart(runs: Mapping[str, Sequence[Run]]) -> str:
    parts = []
    for name, own in runs.items():
        diverged = sum(run.status == "diverged" for run in own)
        if diverged:
            parts.append(f"{diverged} of {len(own)} trainings of {name} diverged")
    return " and ".join(parts)
