"""What the project promises of its speed, and whether a table keeps it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from glasscell.bench.comparison import Row


class Measure(Enum):
    """What a goal is about.

    ratio: the fastest rival's time over ours, more is better.
    times: our time over the rival's, less is better.
    seconds: our time, less is better.
    """

    ratio = "ratio"
    times = "times"
    seconds = "seconds"

    def of(self, row: Row) -> float | None:
        if self is Measure.seconds:
            return row.ours if row.times else None
        if row.ratio is None:
            return None
        return row.ratio if self is Measure.ratio else 1 / row.ratio

    def told(self, value: float) -> str:
        return {
            Measure.ratio: f"{value:.2f}",
            Measure.times: f"{value:.2f} x the time",
            Measure.seconds: f"{value:.3f} s",
        }[self]

    @property
    def more_is_better(self) -> bool:
        return self is Measure.ratio

    def reaches(self, value: float, bar: float) -> bool:
        return value >= bar if self.more_is_better else value <= bar


@dataclass(frozen=True)
class Goal:
    """A promise about a table.

    Attributes:
        mean: what the geometric mean of its rows must reach.
        each: what every single row must reach.
        aim: what the geometric mean is meant to reach one day.
        measure: what all of these are figures of.
    """

    mean: float | None = None
    each: float | None = None
    aim: float | None = None
    measure: Measure = Measure.ratio

    def told(self, *, alone: bool = False) -> str:
        """The promise in words: "geometric mean at least 1.30, no row under 1.05; aim 1.50".

        Args:
            alone: whether the table has one row, so that there is no talk of a mean.
        """
        better = self.measure.more_is_better
        told = self.measure.told
        parts = []
        if self.mean is not None:
            what = "" if alone else "geometric mean "
            parts.append(f"{what}at {'least' if better else 'most'} {told(self.mean)}")
        if self.each is not None:
            parts.append(f"no row {'under' if better else 'over'} {told(self.each)}")
        text = ", ".join(parts)
        return text if self.aim is None else f"{text}; aim {told(self.aim)}"

    def judge(self, rows: Sequence[Row]) -> Verdict | None:
        """Whether the rows keep the promise; None if there are no figures to judge by."""
        measured = [(value, row) for row in rows if (value := self.measure.of(row)) is not None]
        if not measured:
            return None
        order = min if self.measure.more_is_better else max
        mean = geometric_mean([value for value, _ in measured])
        worst, worst_row = order(measured, key=lambda pair: pair[0])
        reaches = self.measure.reaches
        floor = self.mean if self.each is None else self.each
        wrong = sum(row.wrong is not None for row in rows)
        return Verdict(
            goal=self,
            mean=mean,
            worst=worst,
            worst_case=worst_row.case,
            rows=len(measured),
            short=sum(floor is not None and not reaches(value, floor) for value, _ in measured),
            wrong=wrong,
            met=not wrong
            and (self.mean is None or reaches(mean, self.mean))
            and (self.each is None or reaches(worst, self.each)),
            aim_met=None if self.aim is None else not wrong and reaches(mean, self.aim),
        )


@dataclass(frozen=True)
class Verdict:
    """How a table did.

    Attributes:
        goal: what was promised.
        mean: the geometric mean of its rows.
        worst, worst_case: the figure furthest from what we want, and whose it is.
        rows: how many rows were measured.
        short: how many of them are short of what a row must reach, or of what the mean must.
        wrong: how many rows have a wrong answer of ours, and so no figure.
        met: whether the promise is kept.
        aim_met: whether what is meant one day is there; None if nothing is.
    """

    goal: Goal
    mean: float
    worst: float
    worst_case: str
    rows: int
    short: int
    wrong: int
    met: bool
    aim_met: bool | None

    def __str__(self) -> str:
        return f"{self.figures}: {self.status}"

    @property
    def figures(self) -> str:
        """The mean of the rows, and the worst of them."""
        told = self.goal.measure.told
        text = f"{told(self.mean)}"
        if self.rows > 1:
            end = "lowest" if self.goal.measure.more_is_better else "highest"
            text = (
                f"geometric mean {text} of {self.rows} rows, "
                f"{end} {told(self.worst)} ({' '.join(self.worst_case.split())})"
            )
            if self.short:
                text += f", {self.short} short"
        return text

    @property
    def status(self) -> str:
        """ "met", "met, and the aim too", "met, aim 1.50", "MISSED, aim 1.50"."""
        if self.wrong:
            return f"WRONG answers in {self.wrong} rows"
        aim = "" if self.goal.aim is None else f", aim {self.goal.measure.told(self.goal.aim)}"
        if not self.met:
            return f"MISSED{aim}"
        return "met, and the aim too" if self.aim_met else f"met{aim}"


def geometric_mean(values: Sequence[float]) -> float:
    """The n-th root of the product; for ratios, what the arithmetic mean is for differences."""
    return math.exp(sum(math.log(value) for value in values) / len(values))
