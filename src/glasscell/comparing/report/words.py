"""The sentences that say what a comparison found: each follows from a verdict and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from glasscell.comparing.measure import Measure
from glasscell.comparing.questions import Question
from glasscell.comparing.trainings.run import Run
from glasscell.comparing.verdicts import FEWEST, Verdict

if TYPE_CHECKING:
    from glasscell.comparing.comparison import CellResult, Finding

MANY_MORE = 1.25  # times as many updates, from which on that is said
MANY_UNITS = 4  # times as many units


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
    if missing := finding.question.missing:
        said += (
            f" Beside {finding.against} it is more than one change: name {missing} among the cells "
            "to know what the last of them does."
        )
    if lost:
        said += f" Left out, as the training failed: {', '.join(lost)}."
    return f"{part[0].upper()}{part[1:]}: {said}"


def remarks(cells: Sequence[CellResult], measure: Measure, margin: float) -> tuple[str, ...]:
    """What a reader should know of all scores before what is said of each cell.

    Args:
        cells: the plain LSTM first.
        margin: the largest difference that does not matter.
    """
    done = [cell for cell in cells if cell.score.n]
    if not done:
        return ()
    said: list[str] = []
    for name, level in measure.levels:
        below = [cell.cell for cell in done if not measure.is_better(cell.score.mean, level)]
        told = f"{name} ({measure.told(level)})"
        if len(below) == len(done):
            none = "None of the cells does" if len(done) > 1 else f"{done[0].cell} does not do"
            said.append(
                f"{none} better than {told}: if there is more to learn in this data, it has not "
                "been learned yet. A longer budget, or more units, may help."
            )
        elif below:
            said.append(f"No better than {told}: {', '.join(below)}.")
    if measure.optimum is not None:
        solved = [
            cell.cell
            for cell in done
            if all(run.score is not None and measure.is_best(run.score, margin)
                   for run in cell.runs)
        ]  # fmt: skip
        best = f"within {measure.told(margin)} of the best score there can be"
        if len(solved) == len(cells) and len(cells) > 1:
            said.append(
                f"All cells are {best}, from every seed: this task is too easy to tell them "
                "apart. A longer one (T) or fewer updates would."
            )
        elif solved:
            said.append(f"From every seed {best}: {', '.join(solved)}.")
    said += [
        f"To have as many parameters {cell.cell} has {cell.hidden:,} units, where {done[0].cell} "
        f"has {done[0].hidden:,}."
        for cell in done[1:]
        if cell.hidden >= MANY_UNITS * done[0].hidden
    ]
    return tuple(said)


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
            return f"no difference that matters (worth {between} {unit})."
        case _:
            scores = [run.score for own in runs.values() for run in own if run.score is not None]
            if measure.tells_nothing(scores, margin):
                what = "could be better" if measure.is_best(scores[0], margin) else (
                    "is better than chance"
                )  # fmt: skip
                return f"cannot tell: no score of the two {what}."
            return f"cannot tell, worth {between} {unit}."


def _found(question: Question, verdict: Verdict) -> str:
    helps = verdict is Verdict.HELPS
    noun = question.part.split(",")[0]
    several = noun.endswith("s") or noun.startswith("the options ")
    it = "them" if several else "it"
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
    times = max(own, others) / max(1.0, min(own, others))
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
