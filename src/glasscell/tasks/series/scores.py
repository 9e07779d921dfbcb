"""How good a forecast was: of values, of quantiles, of intervals."""

from __future__ import annotations

import numpy as np


def pinball(y: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(...) twice the mean pinball loss over levels: with many of them, the continuous ranked
    probability score (Gneiting and Raftery 2007; Gneiting and Ranjan 2011, eq. 17).

    Args:
        y: (...) what came, NaN where nothing did.
        quantiles: (..., levels).
        levels: (levels,).
    """
    off = y[..., None] - quantiles
    return 2 * np.maximum(levels * off, (levels - 1) * off).mean(-1)


def absolute_scale(history: np.ndarray, season: int) -> float:
    """The mean absolute difference between values a season apart: what the mean absolute scaled
    error is scaled by (Hyndman and Koehler 2006). NaN of a series that is too short, or never
    changes.
    """
    return _scale(history, season, 1)


def squared_scale(history: np.ndarray) -> float:
    """The root of the mean squared difference of neighbours: what the root mean squared scaled
    error is scaled by (Makridakis et al. 2022, the M5 competition)."""
    return _scale(history, 1, 2)


def _scale(history: np.ndarray, lag: int, power: int) -> float:
    off = np.abs(history[lag:] - history[:-lag])
    off = off[np.isfinite(off)]
    found = float((off**power).mean() ** (1 / power)) if len(off) else np.nan
    return found if found > 0 else np.nan


def symmetric_percentage(y: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """(...) 200 |y - f| / (|y| + |f|), 0 where both are 0: the terms of sMAPE (Makridakis 1993)."""
    total = np.abs(y) + np.abs(forecast)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = 200 * np.abs(y - forecast) / total
    return np.where(total == 0, 0.0, found)
