"""Scores against closed formulas and another library."""

import numpy as np
import pytest
from scipy import stats

from glasscell.tasks.series.backtest import _copies
from glasscell.tasks.series.baselines import baseline_forecasts
from glasscell.tasks.series.distributions import LEVELS
from glasscell.tasks.series.scores import (
    absolute_scale,
    pinball,
    squared_scale,
    symmetric_percentage,
)


def test_many_quantiles_give_the_crps():
    """Of a normal distribution it has a closed form (Gneiting and Raftery 2007, eq. 21)."""
    levels = (np.arange(2000) + 0.5) / 2000
    y = np.linspace(-2, 3, 11)
    found = pinball(y, stats.norm.ppf(levels)[None], levels)
    exact = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
    np.testing.assert_allclose(found, exact, atol=2e-3)


def test_scales():
    history = np.array([1.0, 4, 2, np.nan, 5, 7])
    assert absolute_scale(history, 1) == pytest.approx((3 + 2 + 2) / 3)
    assert absolute_scale(history, 2) == pytest.approx((1 + 3) / 2)
    assert squared_scale(history) == pytest.approx(np.sqrt((9 + 4 + 4) / 3))
    for flat in (np.ones(5), np.ones(1)):
        assert np.isnan(absolute_scale(flat, 1))


def test_symmetric_percentages():
    found = symmetric_percentage(np.array([1.0, 0, 2, np.nan]), np.array([3.0, 0, 2, 1]))
    np.testing.assert_array_equal(found, [100, 0, 0, np.nan])


def test_what_anybody_could_have_said():
    rising = np.arange(40.0)
    week = np.tile([1.0, 2, 3, 4, 5, 6, 7], 6)
    gaps = np.array([np.nan, 1, np.nan, 3])
    found = baseline_forecasts([rising, week, gaps], 9, 7, LEVELS)
    assert found["naive"][0].tolist() == [[39] * 9, [7] * 9, [3] * 9]
    np.testing.assert_array_equal(found["seasonal naive"][0][1], [1, 2, 3, 4, 5, 6, 7, 1, 2])
    np.testing.assert_allclose(found["drift"][0][0], 39 + np.arange(1, 10))
    assert found["seasonal naive"][0][2].tolist() == [3] * 9  # too short for a week
    for mean, quantiles in found.values():
        assert np.isfinite(mean).all()
        assert (np.diff(quantiles, axis=-1) >= -1e-9).all()
    # a random walk's: 0.95 of the steps' deviation, times the root of how many
    walk = np.cumsum(np.random.default_rng(0).normal(size=400))
    quantiles = baseline_forecasts([walk], 4, 1, LEVELS)["naive"][1][0]
    deviation = np.sqrt((np.diff(walk) ** 2).mean())
    expected = walk[-1] + stats.norm.ppf(0.95) * deviation * np.sqrt(np.arange(1, 5))
    np.testing.assert_allclose(quantiles[:, -1], expected, rtol=0.02)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (lambda last, after: last, "It copies the last value: 100 %"),
        (lambda last, after: after, "It does not copy the last value: 0 %"),
        (lambda last, after: 0.7 * last + 0.3 * after, "70 % of the forecast of the next step is"),
    ],
)
def test_who_copies_is_told(said, told):
    generator = np.random.default_rng(0)
    last, after = generator.normal(size=(2, 300))
    assert _copies(np.stack((last, after, said(last, after)))).told().startswith(told)
    assert "wherever" in _copies(np.ones((3, 5))).told()
