"""Where a mean lies, judged from a few numbers: confidence intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from glasscell.errors import InputError
from glasscell.statistics import student

Numbers = Sequence[float] | np.ndarray  # (n,)

RESAMPLES = 10_000
ENOUGH_TO_RESAMPLE = 20  # numbers from which on the bootstrap is trusted


@dataclass(frozen=True)
class Interval:
    """A mean and where it lies.

    Attributes:
        mean: of the numbers; NaN of none.
        low, high: the interval's ends; infinite where a single number says nothing of its own
            spread.
        n: how many numbers.
        method: "t" or "bootstrap".
        confidence: how often intervals made like this one hold the true mean.
    """

    mean: float
    low: float
    high: float
    n: int
    method: str
    confidence: float

    def clipped(self, low: float, high: float) -> Interval:
        """The part of it where such a mean can lie: Student's interval of a share may pass 1."""
        return replace(self, low=max(self.low, low), high=min(self.high, high))

    def within(self, margin: float) -> bool:
        """Whether the whole interval lies between -margin and margin."""
        return -margin <= self.low and self.high <= margin


def t_interval(values: Numbers, confidence: float = 0.95) -> Interval:
    """Student's interval: mean ± t s / sqrt(n), with n - 1 degrees of freedom.

    Exact where the numbers are normal; with few of another shape still near (Hesterberg 2015).

    Raises:
        InputError: a confidence that is none.
    """
    _check(confidence)
    x = np.asarray(values, float)
    n = len(x)
    mean = float(x.mean()) if n else math.nan
    if n < 2:
        return Interval(mean, -math.inf, math.inf, n, "t", confidence)
    half = student.quantile(confidence, n - 1) * float(x.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n, "t", confidence)


def bootstrap_interval(values: Numbers, confidence: float = 0.95, *, seed: int = 0) -> Interval:
    """The bootstrap's interval of the mean, corrected for bias and skew: BCa (Efron 1987).

    It needs no normal numbers, and cannot leave their range, as t can for a share that is nearly 1.
    Of few numbers it is too narrow: it knows no others than it has seen (Hesterberg 2015).

    Args:
        values: at least 2.
        confidence: in (0, 1).
        seed: of the resampling.

    Raises:
        InputError: a confidence that is none, or fewer than 2 values.
    """
    _check(confidence)
    x = np.asarray(values, float)
    n = len(x)
    if n < 2:
        raise InputError(f"values: expected at least 2, got {n}")
    mean = float(x.mean())
    if np.ptp(x) == 0:
        return Interval(mean, mean, mean, n, "bootstrap", confidence)
    draws = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    means = x[draws].mean(1)  # (RESAMPLES,)
    # Half of those that are equal count as below: few different numbers make many ties.
    below = (np.mean(means < mean) + np.mean(means <= mean)) / 2
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(below, 1 / RESAMPLES), 1 - 1 / RESAMPLES))
    # Each value left out: for a mean the differences are those of the values themselves.
    left_out = (x.sum() - x) / (n - 1)
    around = left_out.mean() - left_out
    acceleration = float((around**3).sum() / (6 * (around**2).sum() ** 1.5))
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + normal.inv_cdf(tail)
        ends.append(normal.cdf(bias + z / (1 - acceleration * z)))
    low, high = np.quantile(means, ends)
    return Interval(mean, float(low), float(high), n, "bootstrap", confidence)


def mean_interval(values: Numbers, confidence: float = 0.95) -> Interval:
    """The interval of the mean that suits so many numbers: t, and the bootstrap from 20 on.

    Example:
        >>> from glasscell.statistics.intervals import mean_interval
        >>> found = mean_interval([1.91, 1.93, 1.90, 1.92, 1.94])
        >>> print(f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f}), by {found.method}")
        1.920 (1.900 to 1.940), by t
    """
    if len(values) >= ENOUGH_TO_RESAMPLE:
        return bootstrap_interval(values, confidence)
    return t_interval(values, confidence)


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise InputError(f"confidence: expected more than 0 and less than 1, got {confidence}")
