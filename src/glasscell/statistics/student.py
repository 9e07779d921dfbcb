"""Student's t distribution: how far the mean of a few numbers may stray by chance.

Written out here, as it is all of statistics that needs a special function, and a library for it
would be a large thing to ask for.
"""

from __future__ import annotations

import math

SMALLEST = 1e-300  # in place of a zero that would be divided by
STEPS = 500  # of the continued fraction; a hundred are enough for a million degrees of freedom


def two_sided_p(t: float, dof: float) -> float:
    """How often |t| or more comes by chance: P(|T| >= |t|).

    Args:
        t: the statistic.
        dof: degrees of freedom, more than 0.
    """
    if math.isnan(t):
        return math.nan
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(dof / 2, 0.5, dof / (dof + t * t))


def quantile(confidence: float, dof: float) -> float:
    """The t that |T| stays below with this probability: 2.776 for 0.95 and 4 degrees of freedom.

    Args:
        confidence: in (0, 1).
        dof: degrees of freedom, more than 0.
    """
    low, high = 0.0, 1.0
    while two_sided_p(high, dof) > 1 - confidence:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        if two_sided_p(middle, dof) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b), regularised: DLMF 8.17.22, evaluated by Lentz's method."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, and its mirror fast
        return 1 - _incomplete_beta(b, a, 1 - x)
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    fraction, c, d = 1.0, 1.0, 0.0
    for k in range(STEPS):
        m = k // 2
        if k == 0:
            term = 1.0
        elif k % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away_from_zero(1 + term * d)
        c = _away_from_zero(1 + term / c)
        fraction *= c * d
        if abs(1 - c * d) < 1e-15:
            break
    return math.exp(log_front) * (fraction - 1) / a


def _away_from_zero(value: float) -> float:
    return value if abs(value) > SMALLEST else SMALLEST
