"""How a budget of time is shared out: the same processor time for every training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import NamedTuple

from glasscell.comparing.times_in_words import in_words
from glasscell.comparing.trainings.probe import Pace
from glasscell.comparing.trainings.timed import Limit
from glasscell.errors import UserError

FEWEST = 100  # updates of the slowest cell, below which a comparison says nothing
SPARE = 0.95  # of the time is planned with; the rest is for what nobody foresees
TUNING = 0.5  # of the time, where options are tuned
TRIALS = 10  # of a cell, that are planned; as some are cut short, there are more


class _Part(NamedTuple):
    """One part of a comparison: training, or tuning.

    Attributes:
        rounds: how often all jobs work at once.
        share: of the time.
        around: seconds of wall-clock time that a round takes beside updates.
        stretch: seconds of wall-clock time that one of processor time takes.
    """

    rounds: int
    share: float
    around: float
    stretch: float

    def processor(self, wall: float) -> float:
        """Seconds of processor time for a job in each round, of so many of wall-clock time for
        everything."""
        return (SPARE * self.share * wall / self.rounds - self.around) / self.stretch

    def wall(self, processor: float) -> float:
        """The inverse."""
        return (processor * self.stretch + self.around) * self.rounds / self.share / SPARE


def share_budget(
    budget: float,
    spent: float,
    paces: Mapping[str, Pace],
    *,
    seeds: int,
    jobs: int,
    tuned: bool,
) -> tuple[Limit, float]:
    """What each training gets of a budget, and what tuning each cell gets.

    The time left is cut into rounds, in each of which all jobs train at once. What a training
    takes beside updates (validations, the test) is set aside, and where others use the processor
    too, its processor time is less than wall-clock time.

    Args:
        budget: seconds of wall-clock time, for everything.
        spent: of them so far.
        paces: what was measured of each cell.
        seeds, jobs: how many trainings a cell, and how many at once.
        tuned: whether part of the time is for tuning.

    Returns:
        The limit of each training, and seconds of processor time for tuning each cell (0 if not).

    Raises:
        UserError: the budget is too short for the slowest cell, and says what would do.
    """
    cells = len(paces)
    around = fmean(pace.around for pace in paces.values())
    stretch = fmean(pace.stretch for pace in paces.values())
    slowest = max(paces, key=lambda cell: paces[cell].update)
    least = FEWEST * paces[slowest].update
    whole = 1 - TUNING if tuned else 1.0
    parts = [_Part(math.ceil(cells * seeds / jobs), whole, around, stretch)]
    if tuned:
        parts.append(_Part(math.ceil(cells / jobs), TUNING, TRIALS * around, stretch))
    given = [part.processor(budget - spent) for part in parts]
    if min(given) < least:
        needed = spent + max(part.wall(least) for part in parts)
        fewer = "fewer cells or seeds" if jobs > 1 else "fewer cells or seeds, or more --jobs"
        raise UserError(
            f"budget: {in_words(budget)} is too short for {cells} cells from {seeds} seeds, "
            f"{jobs} at a time: for {FEWEST} updates of the slowest, {slowest}, at least "
            f"{rounded_up(needed)} are needed here (measured just now); give it that, or {fewer}"
        )
    return Limit(seconds=given[0]), given[1] if tuned else 0.0


def rounded_up(seconds: float) -> str:
    """A time that will do, as somebody would give it: "40s", "3m"."""
    if seconds <= 60:
        return f"{10 * math.ceil(seconds / 10):.0f}s"
    return f"{math.ceil(seconds / 60):.0f}m"
