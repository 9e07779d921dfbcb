"""Differences between two cells from seed to seed: tests, and how several are told together.

**Which test.** Of n seeds the exact sign-flip test has 2^n outcomes, so its smallest p is 2 / 2^n:
1/16 with 5 seeds, which can never be called rare, let alone when several cells are compared. The
paired t test has no such floor; it asks that the differences be normal, and with heavier tails
errs towards silence. So **t decides**, and the exact test, which asks for nothing but symmetry,
stands beside it with the smallest p that it could have come to. (Fisher 1935, "The Design of
Experiments", section 21; Student 1908; for deep learning Dror et al. 2018.)

**Several comparisons.** Each p is adjusted by Holm (1979), so that with all cells alike the chance
of any false finding stays at 5 %. Intervals hold all at once: each has the confidence
1 - alpha / m (Bonferroni; Dunn 1961).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glasscell.errors import InputError
from glasscell.statistics import student
from glasscell.statistics.intervals import Interval, Numbers, t_interval

MOST_EXACT = 16  # pairs up to which all 2^n sign flips are tried; beyond, so many are drawn
DRAWN = 100_000


@dataclass(frozen=True)
class Difference:
    """How two cells differ from seed to seed.

    Attributes:
        values: one a pair: the cell's score less the other's.
        alone: the interval of their mean, for this comparison alone.
        together: the same, so wide that all comparisons' intervals hold at once.
        p: of the paired t test, for this comparison alone.
        p_adjusted: the same after Holm's correction for all comparisons.
        p_sign_flips: of the sign-flip test, for this comparison alone.
        p_smallest: the smallest that the sign-flip test can come to with so many pairs.
    """

    values: tuple[float, ...]
    alone: Interval
    together: Interval
    p: float
    p_adjusted: float
    p_sign_flips: float
    p_smallest: float

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return self.alone.mean


def differences(pairs: Sequence[Numbers], *, confidence: float = 0.95) -> tuple[Difference, ...]:
    """Several comparisons, told together.

    Args:
        pairs: for each comparison its differences, one a seed; as many as there are.
        confidence: of all intervals together.

    Raises:
        InputError: a confidence that is none.

    Example:
        >>> from glasscell.statistics.paired import differences
        >>> worse, alike = differences([[0.20, 0.22, 0.21], [0.01, -0.01, 0.00]])
        >>> worse.p_adjusted < 0.05 < alike.p_adjusted
        True
    """
    alone = [t_interval(values, confidence) for values in pairs]
    p = [paired_t(values) for values in pairs]
    adjusted = holm(p)
    share = 1 - (1 - confidence) / max(1, len(pairs))
    return tuple(
        Difference(
            values=tuple(map(float, values)),
            alone=alone[k],
            together=t_interval(values, share),
            p=p[k],
            p_adjusted=adjusted[k],
            p_sign_flips=sign_flips(values),
            p_smallest=min(1.0, 2.0 ** (1 - len(values))),
        )
        for k, values in enumerate(pairs)
    )


def paired_t(values: Numbers) -> float:
    """The two-sided p of Student's test that differences are 0 on average; NaN for fewer than 2."""
    x = np.asarray(values, float)
    n = len(x)
    if n < 2:
        return math.nan
    deviation = float(x.std(ddof=1))
    if deviation == 0:
        return 1.0 if x.mean() == 0 else 0.0
    return student.two_sided_p(float(x.mean()) / (deviation / math.sqrt(n)), n - 1)


def sign_flips(values: Numbers, *, seed: int = 0) -> float:
    """The two-sided p of the sign-flip test: how many ways of giving the differences signs bring
    a mean as far from 0 as theirs. All ways are tried up to 16 pairs; beyond, 100,000 are drawn.
    NaN of no pair.
    """
    x = np.asarray(values, float)
    n = len(x)
    if n == 0:
        return math.nan
    if n <= MOST_EXACT:
        bits = np.arange(2**n)[:, None] >> np.arange(n) & 1  # (2^n, n)
    else:
        bits = np.random.default_rng(seed).integers(0, 2, (DRAWN, n))
    sums = np.abs((1 - 2 * bits) @ x)
    own = abs(x.sum())
    as_far = int((sums >= own - 1e-12 * np.abs(x).sum()).sum())
    # Of drawn flips the given signs are one more: p is never 0 (Phipson and Smyth 2010).
    return as_far / len(sums) if n <= MOST_EXACT else (as_far + 1) / (DRAWN + 1)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p: the k-th smallest of m times m - k + 1, never less than one before.

    NaN, of comparisons that could not be made, stays NaN but counts in m.

    Raises:
        InputError: a p outside 0 to 1.
    """
    for value in p:
        if not (math.isnan(value) or 0 <= value <= 1):
            raise InputError(f"p: expected 0 to 1, got {value}")
    adjusted = [math.nan] * len(p)
    least = 0.0
    order = sorted((k for k in range(len(p)) if not math.isnan(p[k])), key=lambda k: p[k])
    for place, k in enumerate(order):
        least = max(least, min(1.0, (len(p) - place) * p[k]))
        adjusted[k] = least
    return adjusted
