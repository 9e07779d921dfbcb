"""Intervals of a mean, against SciPy's, and for how often they hold it."""

import math

import numpy as np
import pytest
from scipy import stats

from glasscell.errors import InputError
from glasscell.statistics.intervals import bootstrap_interval, mean_interval, t_interval

NUMBERS = [1.91, 1.93, 1.90, 1.92, 1.97]


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_t_interval_is_scipys(confidence):
    found = t_interval(NUMBERS, confidence)
    low, high = stats.t.interval(confidence, 4, np.mean(NUMBERS), stats.sem(NUMBERS))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.mean, found.n, found.method) == (pytest.approx(1.926), 5, "t")


def test_of_one_number_and_of_none():
    one = t_interval([2.0])
    assert (one.mean, one.low, one.high) == (2.0, -math.inf, math.inf)
    assert not one.within(1e9)
    assert math.isnan(t_interval([]).mean)


def test_bootstrap_is_scipys_bca():
    skewed = np.random.default_rng(0).exponential(size=40)
    found = bootstrap_interval(skewed)
    theirs = stats.bootstrap(
        (skewed,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))  # the same draws
    # skew to the right: further up than down, which t cannot show
    assert found.high - found.mean > 1.1 * (found.mean - found.low)


def test_bootstrap_does_not_leave_the_range_and_bears_equal_numbers():
    shares = [1.0] * 27 + [0.9, 0.95, 0.8]
    assert bootstrap_interval(shares).high <= 1.0 < t_interval(shares).high
    same = bootstrap_interval([0.5] * 20)
    assert (same.low, same.mean, same.high) == (0.5, 0.5, 0.5)
    with pytest.raises(InputError, match="at least 2"):
        bootstrap_interval([1.0])


def test_the_method_follows_how_many_there_are():
    assert mean_interval(NUMBERS).method == "t"
    assert mean_interval(list(np.random.default_rng(0).normal(size=20))).method == "bootstrap"


def test_t_intervals_hold_the_mean_as_often_as_they_say():
    draws = np.random.default_rng(1).normal(3.0, size=(2000, 5))
    held = sum((i := t_interval(row, 0.9)).low <= 3 <= i.high for row in draws)
    assert stats.binomtest(held, 2000, 0.9).pvalue > 1e-3


@pytest.mark.parametrize("confidence", [0, 1, -1, 2, math.nan])
def test_a_confidence_that_is_none(confidence):
    with pytest.raises(InputError, match="confidence"):
        t_interval(NUMBERS, confidence)
    with pytest.raises(InputError, match="confidence"):
        bootstrap_interval(NUMBERS, confidence)
