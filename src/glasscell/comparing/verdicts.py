"""What a difference amounts to: rules from numbers to one of a few verdicts.

The rules, first to last; `worth` is how much better a model scores with the part in question:

1. **unstable**: some training with the part, or without it, diverged. Scores of those that did not
   would flatter the cell.
2. **too few**: fewer than 3 pairs of seeds.
3. **helps**, **hurts**: Holm's adjusted p of the paired t test is at most alpha.
4. **cannot tell**: all trainings of the two have the best score there can be, or do no better than
   chance: that they are alike says nothing of the part.
5. **no difference**: the interval that holds for all comparisons at once lies within the margin,
   the largest difference that is not worth having (Schuirmann 1987).
6. **cannot tell**: everything else. A wide interval is no sign of equality.
"""

from __future__ import annotations

import math
from enum import StrEnum

from glasscell.statistics.intervals import Interval
from glasscell.statistics.paired import Difference

FEWEST = 3  # pairs from which on a verdict is given


class Verdict(StrEnum):
    """What a comparison came to."""

    HELPS = "helps"
    HURTS = "hurts"
    NO_DIFFERENCE = "no difference"
    CANNOT_TELL = "cannot tell"
    TOO_FEW = "too few seeds"
    UNSTABLE = "unstable"


def verdict_of(
    difference: Difference,
    *,
    better: int,
    margin: float,
    confidence: float,
    diverged: int = 0,
    tells_nothing: bool = False,
) -> Verdict:
    """The verdict by the rules above.

    Args:
        difference: the scores with the part in question, less those without, or the reverse.
        better: 1 if a larger difference is better for the part, -1 if a smaller is.
        margin: the largest difference that does not matter.
        confidence: of all comparisons together; alpha is what it lacks to 1.
        diverged: how many of the trainings compared fell apart.
        tells_nothing: whether no score of theirs could be better, or none is better than chance.
    """
    if diverged:
        return Verdict.UNSTABLE
    if difference.n < FEWEST or math.isnan(difference.p_adjusted):
        return Verdict.TOO_FEW
    if difference.p_adjusted <= 1 - confidence:
        return Verdict.HELPS if better * difference.mean > 0 else Verdict.HURTS
    if difference.together.within(margin) and not tells_nothing:
        return Verdict.NO_DIFFERENCE
    return Verdict.CANNOT_TELL


def turned(interval: Interval, sign: int) -> tuple[float, float]:
    """The ends of an interval as they are (1), or of the opposite quantity (-1)."""
    ends = (interval.low, interval.high)
    return ends if sign > 0 else (-ends[1], -ends[0])
