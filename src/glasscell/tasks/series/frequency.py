"""Regular times: how far one step of a series is, found from the times themselves.

A step is a number (of whole numbers), a fixed duration, a working day, or calendar months: twelve
months are a year, whatever its days. Positions on the grid of steps are whole numbers from an
origin that all series share, so that equal times have equal positions.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from glasscell.errors import UserError

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["number", "duration", "working day", "month"]
SECOND = 1_000_000  # microseconds
DAY = 86_400 * SECOND
UNITS = {
    "us": 1,
    "ms": 1_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3_600 * SECOND,
    "d": DAY,
    "w": 7 * DAY,
}
NAMES = {"us": "microsecond", "ms": "millisecond", "s": "second", "m": "minute", "h": "hour",
         "d": "day", "w": "week"}  # fmt: skip
SPARSEST = 0.25  # of a grid's places, where it is finer than the commonest step
WEEKENDS = 0.8  # of the steps of a day and more, that pass over a weekend
EXAMPLES = 3
MONDAY = 4  # days from 1970-01-01, a Thursday, to the first Monday


@dataclass(frozen=True)
class Frequency:
    """One step.

    Attributes:
        kind: what is counted.
        size: how many of it: whole numbers, microseconds, working days or months.
        anchor: where steps lie: the remainder of a number or a time after division by the size,
            of a working day the time of day; of months "start", "end", or the microseconds from
            the month's beginning.
        phase: of several months, which of them: months since 1970 modulo the size.
    """

    kind: Kind
    size: int
    anchor: int | str = 0
    phase: int = 0

    def __str__(self) -> str:
        """ "1 day", "15 minutes", "1 month"."""
        if self.kind == "duration":
            unit = next(u for u in reversed(UNITS) if self.size % UNITS[u] == 0)
            return _counted(self.size // UNITS[unit], NAMES[unit])
        if self.kind == "month" and self.size % 12 == 0:
            return _counted(self.size // 12, "year")
        return _counted(self.size, "step" if self.kind == "number" else self.kind)

    @property
    def season(self) -> int:
        """Steps after which things usually come again: a day of hours, a week of days, a year of
        weeks, months or quarters; 1 where nothing usually does."""
        if self.kind == "working day":
            return 5
        if self.kind == "month":
            return max(1, 12 // self.size)
        if self.kind == "number":
            return 1
        hour, week = UNITS["h"], UNITS["w"]
        if self.size >= week:
            return max(1, round(52 * week / self.size))
        if self.size >= DAY:
            return max(1, 7 * DAY // self.size)
        if self.size >= UNITS["m"]:
            return DAY // self.size
        return hour // self.size if self.size >= SECOND else max(1, SECOND // self.size)

    def positions(self, moments: np.ndarray) -> np.ndarray:
        """(N,) int64 places on the grid, of moments as `moments_of` gives them.

        Raises:
            ValueError: a moment that is no place on it.
        """
        if self.kind in ("number", "duration"):
            places, rest = np.divmod(moments - int(self.anchor), self.size)
            fits = rest == 0
        elif self.kind == "working day":
            days, rest = np.divmod(moments, DAY)
            weeks, weekday = np.divmod(days - MONDAY, 7)
            places, fits = 5 * weeks + weekday, (weekday < 5) & (rest == int(self.anchor))
        else:
            months, anchors = _months(moments, end=self.anchor == "end")
            first = 0 if self.anchor in ("start", "end") else int(self.anchor)
            places, rest = np.divmod(months - self.phase, self.size)
            fits = (anchors == first) & (rest == 0)
        if not fits.all():
            raise ValueError(f"{_told(moments[~fits][:EXAMPLES], self.kind)} is not on the grid")
        return places.astype(np.int64)

    def places_in(self, moments: np.ndarray) -> np.ndarray:
        """(N,) int64 the places of the steps that moments lie in, wherever in them; what lies on a
        weekend belongs to the Friday before."""
        if self.kind in ("number", "duration"):
            return (moments - int(self.anchor)) // self.size
        if self.kind == "working day":
            weeks, weekday = np.divmod(moments // DAY - MONDAY, 7)
            return 5 * weeks + np.minimum(weekday, 4)
        months, _ = _months(moments, end=False)
        return (months - self.phase) // self.size

    def moments(self, places: np.ndarray) -> np.ndarray:
        """(N,) moments at places of the grid."""
        if self.kind in ("number", "duration"):
            return places * self.size + int(self.anchor)
        if self.kind == "working day":
            weeks, weekday = np.divmod(places, 5)
            return (7 * weeks + weekday + MONDAY) * DAY + int(self.anchor)
        end = self.anchor == "end"
        months = places * self.size + self.phase
        starts = (months + end).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
        if end:
            return starts - DAY
        return starts + (0 if self.anchor == "start" else int(self.anchor))

    @classmethod
    def read(cls, text: str) -> Frequency:
        """The frequency that a person names: "15m", "1h", "1d", "1w", "1mo", "1q", "1y"; "1b" is a
        working day, "1" a whole number.

        Raises:
            UserError: none of these.
        """
        found = re.fullmatch(r"(\d+)\s*(us|ms|s|m|h|d|w|b|mo|q|y|)", text.strip())
        if found is None or int(found[1]) < 1:
            raise UserError(f"every: expected a step such as 15m, 1h, 1d, 1w or 1mo, got {text!r}")
        count, unit = int(found[1]), found[2]
        if unit == "":
            return cls("number", count)
        if unit == "b":
            return cls("working day", count)
        if unit in ("mo", "q", "y"):
            return cls("month", count * {"mo": 1, "q": 3, "y": 12}[unit], "start")
        return cls("duration", count * UNITS[unit])


def moments_of(times: pl.Series) -> np.ndarray:
    """(N,) int64: whole numbers as they are, dates and times in microseconds since 1970.

    Raises:
        UserError: times that are neither.
    """
    import polars as pl

    if times.dtype.is_integer():
        return times.cast(pl.Int64).to_numpy()
    if times.dtype.is_float():
        whole = times.cast(pl.Int64, strict=False)
        if (whole.cast(pl.Float64) == times).all():
            return whole.to_numpy()
        row = int((whole.cast(pl.Float64) != times).fill_null(True).arg_max() or 0)
        raise UserError(
            f"time: expected dates, times or whole numbers, got {times[row]} in row {row + 1}"
        )
    if times.dtype == pl.Date:
        return times.cast(pl.Datetime("us")).dt.epoch("us").to_numpy()
    if isinstance(times.dtype, pl.Datetime):
        return times.dt.epoch("us").to_numpy()
    raise UserError(
        f"time: expected dates, times or whole numbers, got {times[0]!r} in row 1 "
        "(2024-03-31, 2024-03-31 14:00 and 2024-03-31T14:00:00+01:00 are read)"
    )


def find_frequency(moments: np.ndarray, is_first: np.ndarray, *, numbers: bool) -> Frequency:
    """The regular step that all series share.

    Args:
        moments: (N,) of all series, one after the other, each in order and none twice.
        is_first: (N,) whether each begins a series.
        numbers: whether they are whole numbers, and not times.

    Raises:
        UserError: no series has two times, or their steps fit no grid; it says which do not.
    """
    steps = np.diff(moments)[~is_first[1:]]
    if not len(steps):
        raise UserError("time: expected at least two times in a series, to find its frequency")
    if not numbers and (found := _calendar_months(moments, is_first)):
        return found
    values, counts = np.unique(steps, return_counts=True)
    common = int(values[counts.argmax()])
    if not numbers and _are_working_days(moments, steps, common):
        return Frequency("working day", 1, int(moments[0] % DAY))
    size = common
    if (values % common).any():
        size = math.gcd(*values.tolist())
        places = (steps // size).sum() + is_first.sum()
        if len(moments) < SPARSEST * places:
            odd = values[values % common != 0]
            raise UserError(_irregular(common, odd, moments, is_first, numbers))
    kind: Kind = "number" if numbers else "duration"
    found = Frequency(kind, size, int(moments[0] % size))
    if (moments % size != found.anchor).any():
        raise UserError(
            f"time: the series have a step of {found}, but are not in step with each other: "
            f"{_told(moments[moments % size != found.anchor][:1], kind)} lies between the others; "
            f"name a step that all share (every, --every)"
        )
    return found


def _calendar_months(moments: np.ndarray, is_first: np.ndarray) -> Frequency | None:
    """Months, quarters or years, where all times are alike within their month."""
    for anchor in ("start", "end", "day"):
        months, anchors = _months(moments, end=anchor == "end")
        if (anchors != (anchors[0] if anchor == "day" else 0)).any():
            continue
        steps = np.diff(months)[~is_first[1:]]
        if (steps < 1).any() or (anchor == "day" and anchors[0] >= 28 * DAY):
            continue
        size = math.gcd(*np.unique(steps).tolist())
        if (months % size != months[0] % size).any():
            continue
        place = int(anchors[0]) if anchor == "day" else anchor
        return Frequency("month", size, place, int(months[0] % size))
    return None


def _are_working_days(moments: np.ndarray, steps: np.ndarray, common: int) -> bool:
    if common != DAY or (moments % DAY != moments[0] % DAY).any():
        return False
    weekday = (moments // DAY - MONDAY) % 7
    fridays = (weekday[:-1] == 4).sum()
    return bool((weekday < 5).all() and (steps == 3 * DAY).sum() >= WEEKENDS * fridays > 0)


def _months(moments: np.ndarray, *, end: bool) -> tuple[np.ndarray, np.ndarray]:
    """The months since 1970 of moments, and microseconds from the month's first moment, or from
    the beginning of its last day, to them."""
    at = moments.astype("datetime64[us]")
    months = at.astype("datetime64[M]").astype(np.int64)
    starts = (months + end).astype("datetime64[M]").astype("datetime64[us]")
    return months, (at - starts).astype(np.int64) + (DAY if end else 0)


def _irregular(
    common: int, odd: np.ndarray, moments: np.ndarray, is_first: np.ndarray, numbers: bool
) -> str:
    kind: Kind = "number" if numbers else "duration"
    at = int(np.flatnonzero((np.diff(moments) == odd[0]) & ~is_first[1:])[0])
    pair = _told(moments[at : at + 2], kind)
    return (
        f"time: no regular step fits. The commonest is {Frequency(kind, common)}, but there are "
        f"steps that are no multiple of it, such as from {pair.replace(', ', ' to ')}. To take "
        "each time as the step that it lies in, name one (every, --every 1h)"
    )


def _told(moments: np.ndarray, kind: Kind) -> str:
    if kind == "number":
        return ", ".join(str(m) for m in moments.tolist())
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    times = [zero + timedelta(microseconds=m) for m in moments.tolist()]
    return ", ".join(_shortest(t) for t in times)


def _shortest(time: datetime) -> str:
    if time == datetime.combine(date(time.year, time.month, time.day), datetime.min.time(), UTC):
        return f"{time:%Y-%m-%d}"
    return f"{time:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def _counted(count: int, name: str) -> str:
    return f"1 {name}" if count == 1 else f"{count:,} {name}s"
