"""Frequencies are found from times as they come, and times from places on the grid."""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasscell.errors import UserError
from glasscell.tasks.series.frequency import Frequency, find_frequency, moments_of

START, STOP = datetime(2021, 3, 5), datetime(2026, 2, 27)


def times(every: str, first=START, last=STOP, **options) -> pl.Series:
    return pl.datetime_range(first, last, every, eager=True, **options)


def found(each: pl.Series, keep: Any = slice(None)) -> Frequency:
    moments = moments_of(each)[keep]
    is_first = np.arange(len(moments)) == 0
    return find_frequency(moments, is_first, numbers=each.dtype.is_numeric())


@pytest.mark.parametrize(
    ("every", "told", "season"),
    [
        ("250ms", "250 milliseconds", 4),
        ("1s", "1 second", 3600),
        ("1m", "1 minute", 1440),
        ("15m", "15 minutes", 96),
        ("1h", "1 hour", 24),
        ("1d", "1 day", 7),
        ("1w", "1 week", 52),
        ("10d", "10 days", 36),
    ],
)
def test_fixed_durations(every, told, season):
    last = datetime(2021, 3, 5, 3) if every.endswith(("s", "1m")) else STOP
    frequency = found(times(every, last=last))
    assert (str(frequency), frequency.season) == (told, season)
    assert frequency.kind == "duration"


@pytest.mark.parametrize(
    ("every", "first", "told", "season"),
    [
        ("1mo", datetime(2001, 1, 1), "1 month", 12),
        ("1mo", datetime(2001, 1, 15), "1 month", 12),
        ("3mo", datetime(2001, 2, 1), "3 months", 4),
        ("1y", datetime(1970, 1, 1), "1 year", 1),
        ("1y", datetime(1970, 7, 1), "1 year", 1),
    ],
)
def test_months_and_years(every, first, told, season):
    each = times(every, first)
    frequency = found(each)
    assert (str(frequency), frequency.season) == (told, season)
    moments = moments_of(each)
    places = frequency.positions(moments)
    assert (np.diff(places) == 1).all()
    assert (frequency.moments(places) == moments).all()


def test_ends_of_months():
    each = times("1mo", datetime(2019, 1, 1)).dt.month_end()
    frequency = found(each)
    assert (frequency.kind, frequency.anchor) == ("month", "end")
    moments = moments_of(each)
    assert (frequency.moments(frequency.positions(moments)) == moments).all()


def test_working_days():
    each = times("1d").filter(times("1d").dt.weekday() < 6)
    frequency = found(each)
    assert (str(frequency), frequency.season) == ("1 working day", 5)
    places = frequency.positions(moments_of(each))
    assert (np.diff(places) == 1).all()
    assert (frequency.moments(places) == moments_of(each)).all()
    # holidays are gaps
    assert found(each, np.delete(np.arange(len(each)), [3, 100, 101])).kind == "working day"


def test_whole_numbers():
    frequency = found(pl.Series([1700.0, 1702, 1704, 1708]))
    assert (frequency.kind, frequency.size, str(frequency)) == ("number", 2, "2 steps")
    assert frequency.positions(np.array([1700, 1708])).tolist() == [850, 854]


def test_dates_and_zones():
    days = times("1d").dt.date()
    assert str(found(days)) == "1 day"
    local = times("1h", datetime(2021, 3, 27), datetime(2021, 3, 29), time_zone="Europe/Berlin")
    assert str(found(local)) == "1 hour"  # over the change to summer time


@given(st.lists(st.integers(0, 400), min_size=120, max_size=399, unique=True))
def test_gaps_change_nothing(kept):
    each = times("1d", last=datetime(2022, 4, 9))  # 401 days
    places = np.sort(kept)
    frequency = found(each, places)
    assert frequency.kind == "duration"
    grid = frequency.positions(moments_of(each)[places])
    assert (np.diff(grid) * frequency.size == np.diff(places) * 86_400_000_000).all()


def test_a_finer_grid_where_it_is_well_filled():
    hours = np.cumsum([2, 2, 3, 2, 2, 1, 2, 3]) * 3_600_000_000
    assert str(find_frequency(hours, hours == hours[0], numbers=False)) == "1 hour"


def test_series_beside_each_other():
    day = 86_400_000_000
    moments = np.array([0, 1, 2, 5, 1, 2, 3]) * day
    is_first = np.array([1, 0, 0, 0, 1, 0, 0], bool)
    assert str(find_frequency(moments, is_first, numbers=False)) == "1 day"
    moments[4:] += day // 2
    with pytest.raises(UserError, match="not in step with each other: 1970-01-02 12:00"):
        find_frequency(moments, is_first, numbers=False)


def test_times_that_fit_no_grid():
    each = times("1h", last=datetime(2021, 3, 6))
    jittered = each + pl.Series(np.arange(len(each)) ** 2 % 60).cast(pl.Duration("us")) * 1000
    with pytest.raises(UserError, match=r"no regular step fits.*--every"):
        found(jittered)
    with pytest.raises(UserError, match="at least two times"):
        found(each[:1])


def test_times_that_are_none():
    with pytest.raises(UserError, match=r"got 1\.5 in row 2"):
        moments_of(pl.Series([1.0, 1.5]))
    with pytest.raises(UserError, match="got 'soon' in row 1"):
        moments_of(pl.Series(["soon"]))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("15m", "15 minutes"),
        ("1q", "3 months"),
        ("1y", "1 year"),
        ("5b", "5 working days"),
        ("1", "1 step"),
    ],
)
def test_frequencies_by_name(text, told):
    assert str(Frequency.read(text)) == told


@pytest.mark.parametrize("text", ["", "h", "0d", "1.5h", "1 fortnight"])
def test_names_that_are_none(text):
    with pytest.raises(UserError, match="every: expected a step"):
        Frequency.read(text)
