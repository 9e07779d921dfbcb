"""What anybody could have said: simple forecasts by a library made for them, statsforecast."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from glasscell.errors import UserError

NEEDS = "evaluating forecasts needs statsforecast: pip install 'glasscell[series]'"
NAMES = ("naive", "seasonal naive", "drift", "exponential smoothing")
LONGEST = 2000  # steps before the origin that exponential smoothing is fitted to


def baseline_forecasts(
    histories: Sequence[np.ndarray], horizon: int, season: int, levels: Sequence[float]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each kind the forecasts after some histories: (S, horizon) values, and (S, horizon,
    levels) quantiles.

    They take no gaps: a missing value is read as the last one before it.

    Args:
        histories: of each series, the values before its origin; at least one is there.
        horizon: steps.
        season: steps after which things come again; with 1 there is no seasonal kind.
        levels: of the quantiles; those that come in pairs about one half.

    Raises:
        UserError: statsforecast is not installed.
    """
    try:
        from statsforecast import StatsForecast
        from statsforecast.models import AutoETS, Naive, RandomWalkWithDrift, SeasonalNaive
    except ImportError:
        raise UserError(NEEDS) from None
    import pandas as pd

    models: dict[str, Any] = {"naive": Naive(alias="m")}
    if season > 1:
        models["seasonal naive"] = SeasonalNaive(season_length=season, alias="m")
    models["drift"] = RandomWalkWithDrift(alias="m")
    models["exponential smoothing"] = AutoETS(season_length=season, alias="m")
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    filled = [_filled(history)[-LONGEST:] for history in histories]
    for name, model in models.items():
        frame = pd.DataFrame({
            "unique_id": np.repeat(np.arange(len(filled)), [len(each) for each in filled]),
            "ds": np.concatenate([np.arange(len(each)) for each in filled]),
            "y": np.concatenate(filled),
        })  # fmt: skip
        run = StatsForecast(models=[model], freq=1, fallback_model=Naive(alias="m"))
        widths = sorted({round(100 * abs(2 * level - 1)) for level in levels} - {0})
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of short series, which are seen to here
            said = run.forecast(df=frame, h=horizon, level=widths)
        mean, quantiles = _read(said, len(filled), horizon, levels)
        if name != "naive":  # a series too short for a kind has the naive forecast
            lost = ~(np.isfinite(mean).all(-1) & np.isfinite(quantiles).all((-1, -2)))
            mean[lost], quantiles[lost] = (each[lost] for each in found["naive"])
        found[name] = mean, quantiles
    return found


def _read(
    said: Any, series: int, horizon: int, levels: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    said = said.sort_values(["unique_id", "ds"])

    def column(name: str) -> np.ndarray:
        return said[name].to_numpy(float).reshape(series, horizon)

    mean = column("m")
    quantiles = []
    for level in levels:
        width = round(100 * abs(2 * level - 1))
        name = "m" if width == 0 else f"m-{'lo' if level < 0.5 else 'hi'}-{width}"
        values = column(name)
        quantiles.append(values)
    return mean, np.stack(quantiles, -1)


def _filled(history: np.ndarray) -> np.ndarray:
    """Without the missing values before the first, and each later one as the last before it."""
    there = np.flatnonzero(np.isfinite(history))
    own = history[there[0] :]
    places = np.where(np.isfinite(own), np.arange(len(own)), 0)
    return own[np.maximum.accumulate(places)]
