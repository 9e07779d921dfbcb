"""Where on the calendar a step lies, as numbers that a model can read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glasscell.tasks.series.frequency import DAY, MONDAY, Frequency

YEAR = 365.2425 * DAY


def calendar_names(frequency: Frequency) -> tuple[str, ...]:
    """The features that a frequency has: a sine and a cosine of each cycle that is longer than
    two steps and no finer than the clock."""
    return tuple(
        f"{wave} of {name}" for name, _ in _cycles(frequency) for wave in ("sine", "cosine")
    )


def calendar(frequency: Frequency, places: np.ndarray) -> np.ndarray:
    """(N, features) float32, of places on the grid."""
    cycles = list(_cycles(frequency))
    if not cycles:
        return np.zeros((len(places), 0), np.float32)
    moments = frequency.moments(places)
    waves = []
    for _, phase in cycles:
        angle = 2 * np.pi * phase(moments)
        waves += [np.sin(angle), np.cos(angle)]
    return np.stack(waves, -1).astype(np.float32)


def _cycles(frequency: Frequency) -> Iterator[tuple]:
    """The cycles of a frequency: their names, and how far on in them a moment is, from 0 to 1."""
    if frequency.kind == "number":
        return
    if frequency.kind == "month":
        if frequency.size < 6:
            yield "the year", _of_year
        return
    step = DAY if frequency.kind == "working day" else frequency.size
    if 2 * step < 3_600_000_000:
        yield "the hour", lambda m: (m % 3_600_000_000) / 3_600_000_000
    if 2 * step < DAY:
        yield "the day", lambda m: (m % DAY) / DAY
    if 2 * step < 7 * DAY:
        yield "the week", lambda m: ((m - MONDAY * DAY) % (7 * DAY)) / (7 * DAY)
    if 2 * step < YEAR:
        yield "the year", _of_year


def _of_year(moments: np.ndarray) -> np.ndarray:
    at = moments.astype("datetime64[us]")
    start = at.astype("datetime64[Y]")
    length = (start + 1).astype("datetime64[us]") - start.astype("datetime64[us]")
    since = at - start.astype("datetime64[us]")
    return since.astype(np.int64) / length.astype(np.int64)
