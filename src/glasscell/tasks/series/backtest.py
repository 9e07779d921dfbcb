"""How good a forecaster is on what it has not seen: from one origin after the other, as time goes
on, and always beside what anybody could have said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from glasscell.errors import UserError
from glasscell.statistics.paired import Difference, differences
from glasscell.tasks.series.baselines import baseline_forecasts
from glasscell.tasks.series.distributions import LEVELS
from glasscell.tasks.series.forecast import forecast
from glasscell.tasks.series.inputs import InputPlan
from glasscell.tasks.series.model import Forecaster
from glasscell.tasks.series.panel import Panel
from glasscell.tasks.series.parts import Parts
from glasscell.tasks.series.scores import (
    absolute_scale,
    pinball,
    squared_scale,
    symmetric_percentage,
)

MODEL, SHIFTED = "the model", "shifted "
ORIGINS, SERIES = 5, 100  # at most, unless somebody says otherwise
WIDE, NARROW = (0.05, 0.95), (0.25, 0.75)
FEWEST_PAIRS, ALPHA = 3, 0.05
GIVES_AWAY = 2.0  # times the CRPS, from which on a column is asked about


@dataclass(frozen=True)
class Scores:
    """One kind of forecast, the mean over series, origins and steps.

    Attributes:
        crps: the continuous ranked probability score from 19 quantiles, in units of the mean
            absolute seasonal difference of each series' training part.
        mase: the mean absolute scaled error of the median.
        rmsse: the root mean squared scaled error of the mean.
        smape: per cent.
        weighted_quantile_loss: the pinball losses of all over the sum of all absolute values.
        covers_90, covers_50: the share of values within the quantiles 5 to 95 %, 25 to 75 %.
    """

    crps: float
    mase: float
    rmsse: float
    smape: float
    weighted_quantile_loss: float
    covers_90: float
    covers_50: float


@dataclass(frozen=True, eq=False)
class Backtest:
    """A forecaster beside simple ones, from the same origins.

    Attributes:
        scores: of each kind, the model first.
        differences: the model's CRPS less each simple one's, paired by `paired_by`, in the order
            of scores; Holm's correction is for all of them.
        paired_by: "series" or "origins".
        origins: places on the grid.
        series: how many were scored, of how many.
        horizon, season: steps.
        values: how many values were forecast.
        copies: how much of the model's forecast of the next step is the last value said again.
        leaks: of each column that is known in advance, how many times as large the CRPS is where
            the column is read as it was a step before.
    """

    scores: Mapping[str, Scores]
    differences: Mapping[str, Difference]
    paired_by: str
    origins: tuple[int, ...]
    series: tuple[int, int]
    horizon: int
    season: int
    values: int
    copies: Copies
    leaks: Mapping[str, float]

    def sentences(self) -> list[str]:
        """What it comes to: beside each simple forecast, and whether it copies."""
        own = self.scores[MODEL].crps
        if math.isnan(own):
            return [
                "The series do not change in their training part, so nothing says how large an "
                "error of a forecast is."
            ]
        said = []
        for name, difference in self.differences.items():
            other = self.scores[name].crps
            part = 100 * (1 - own / other) if other else math.nan
            if difference.n < FEWEST_PAIRS or math.isnan(difference.p_adjusted):
                judged = f"too few {self.paired_by} to tell"
            elif difference.p_adjusted > ALPHA:
                judged = f"no difference that is sure (p {difference.p_adjusted:.2g})"
            elif difference.mean < 0:
                judged = f"better, p {difference.p_adjusted:.2g}"
            else:
                judged = f"WORSE, p {difference.p_adjusted:.2g}: use {name} instead"
            side = "below" if part >= 0 else "above"
            said.append(f"Beside {name} its CRPS is {abs(part):.0f} % {side}: {judged}.")
        return [*said, self.copies.told(), *self._leaks_told()]

    def _leaks_told(self) -> list[str]:
        """Whether the forecast rests on what is known of the very steps that are forecast."""
        if not self.leaks:
            return []
        said = [
            f"{name} may give the forecast away: read as it was a step before, it makes the CRPS "
            f"{times:.1f} times as large. Is it really known in advance?"
            for name, times in self.leaks.items()
            if times >= GIVES_AWAY
        ]
        most = max(self.leaks.values())
        return said or [
            "Nothing that is known in advance gives the forecast away: read as it was a step "
            f"before, no column makes the CRPS more than {max(most, 1.0):.2f} times as large."
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain data; what is not finite is None."""

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: plain(each) for name, each in value.items()}
            if isinstance(value, list | tuple):
                return [plain(each) for each in value]
            return None if isinstance(value, float) and not math.isfinite(value) else value

        return plain(
            {
                "scores": {name: asdict(each) for name, each in self.scores.items()},
                "differences": {name: asdict(each) for name, each in self.differences.items()},
                "paired_by": self.paired_by, "origins": self.origins, "series": self.series,
                "horizon": self.horizon, "season": self.season, "values": self.values,
                "copies": asdict(self.copies), "leaks": dict(self.leaks),
            }
        )  # fmt: skip


@dataclass(frozen=True)
class Copies:
    """Whether a forecast of the next step only says the last value again.

    Attributes:
        share: 1 - mean |forecast - last| / mean |next - last|, at least 0: 1 where the last value
            is said again, 0 where the forecast moves away from it as far as the series does.
        skill: 1 - mean |next - forecast| / mean |next - last|: how much better than saying it.
    """

    share: float
    skill: float

    def told(self) -> str:
        """In a sentence."""
        share = f"{100 * self.share:.0f} %"
        if not math.isfinite(self.share):
            return "The next value is the last one wherever this was looked at."
        if self.share < 0.5:
            return (
                f"It does not copy the last value: {share} of the forecast of the next step is "
                "the last value said again."
            )
        if self.skill > 0.02:
            return (
                f"{share} of the forecast of the next step is the last value said again; what is "
                f"left makes it {100 * self.skill:.0f} % better than that."
            )
        return (
            f"It copies the last value: {share} of the forecast of the next step is the last value "
            "said again, and it is no better than that."
        )


def backtest(
    model: Forecaster,
    plan: InputPlan,
    panel: Panel,
    parts: Parts,
    *,
    origins: int = ORIGINS,
    series: int = SERIES,
    season: int | None = None,
    seed: int = 0,
) -> Backtest:
    """Scores a forecaster on the test part.

    From each origin it forecasts a horizon, having read all before; the simple ones are fitted to
    the same. Origins are a horizon apart, so that each value is forecast once.

    Args:
        origins: at most; the last ones that there are.
        series: at most; of more, as many are drawn by the seed.
        season: steps after which things come again; that of the frequency by default.

    Raises:
        UserError: nothing to score in the test part.
    """
    if origins < 1 or series < 1:
        raise UserError(f"origins, series: expected at least 1, got {origins} and {series}")
    horizon = model.config.horizon
    season = season or panel.frequency.season
    count = max(1, (parts.test - parts.validation) // horizon)
    places = [parts.test - k * horizon for k in range(min(count, origins), 0, -1)]
    chosen = _chosen(panel, places[0], series, seed)
    own = panel.subset(chosen)
    scales = np.array([
        [absolute_scale(each, season), squared_scale(each)]
        for each in (own.target[own.rows(s)][: max(0, parts.train - own.first[s])]
                     for s in range(len(own)))
    ])  # fmt: skip
    lost = ~np.isfinite(scales).all(-1)
    scales[lost] = np.nan
    levels = np.array(LEVELS)
    columns = list(dict.fromkeys(name.partition("=")[0] for name in panel.features.known))
    rows: dict[str, list[_Row]] = {}
    nexts: list[np.ndarray] = []
    for k, place in enumerate(places):
        at = np.clip(place - own.first, 0, own.lengths)
        y = np.stack([_after(own, s, int(at[s]), horizon) for s in range(len(own))])
        there = np.array([np.isfinite(own.target[own.rows(s)][: at[s]]).any() for s in
                          range(len(own))]) & np.isfinite(y).any(-1)  # fmt: skip
        if not there.any():
            continue
        some, at, y = own.subset(np.flatnonzero(there)), at[there], y[there]
        histories = [some.target[some.rows(s)][: at[s]] for s in range(len(some))]
        said = forecast(model, plan, some, origins=at, levels=LEVELS, seed=seed + k)
        kinds = {MODEL: (said.mean, said.quantiles)}
        kinds |= baseline_forecasts(histories, horizon, season, LEVELS)
        for column in columns:
            shifted = forecast(
                model,
                plan,
                some.with_known_shifted(column),
                origins=at,
                levels=LEVELS,
                seed=seed + k,
            )
            kinds[f"{SHIFTED}{column}"] = shifted.mean, shifted.quantiles
        for name, (mean, quantiles) in kinds.items():
            rows.setdefault(name, []).append(
                _Row(np.flatnonzero(there), y, mean, quantiles, scales[there])
            )
        last = np.array([h[np.isfinite(h)][-1] for h in histories])
        nexts.append(np.stack((last, y[:, 0], said.quantiles[:, 0, len(LEVELS) // 2])))
    if not rows:
        raise UserError("the test part has no values to score a forecast by")
    scores = {name: _scores(each, levels) for name, each in rows.items()}
    leaks = {
        column: scores.pop(f"{SHIFTED}{column}").crps / scores[MODEL].crps for column in columns
    }
    rows = {name: rows[name] for name in scores}
    paired_by, found = _differences(rows, levels)
    return Backtest(
        scores=scores,
        differences=found,
        paired_by=paired_by,
        origins=tuple(places),
        series=(len(own), len(panel)),
        horizon=horizon,
        season=season,
        values=int(sum(np.isfinite(each.y).sum() for each in rows[MODEL])),
        copies=_copies(np.concatenate(nexts, -1)),
        leaks=leaks,
    )


@dataclass(frozen=True, eq=False)
class _Row:
    """All forecasts of one kind from one origin."""

    series: np.ndarray  # (S,)
    y: np.ndarray  # (S, horizon)
    mean: np.ndarray  # (S, horizon)
    quantiles: np.ndarray  # (S, horizon, levels)
    scales: np.ndarray  # (S, 2)

    def crps(self, levels: np.ndarray) -> np.ndarray:
        """(S, horizon) in the units of each series' scale."""
        return pinball(self.y, self.quantiles, levels) / self.scales[:, :1]


def _chosen(panel: Panel, origin: int, most: int, seed: int) -> np.ndarray:
    there = np.flatnonzero((panel.first < origin) & (panel.first + panel.lengths > origin))
    if not len(there):
        raise UserError("no series reaches into the test part, so there is nothing to score")
    if len(there) <= most:
        return there
    return np.sort(np.random.default_rng(seed).choice(there, most, replace=False))


def _after(panel: Panel, s: int, at: int, horizon: int) -> np.ndarray:
    found = np.full(horizon, np.nan)
    values = panel.target[panel.history(s)][at : at + horizon]
    found[: len(values)] = values
    return found


def _scores(rows: Sequence[_Row], levels: np.ndarray) -> Scores:
    y = np.concatenate([each.y for each in rows])
    mean = np.concatenate([each.mean for each in rows])
    quantiles = np.concatenate([each.quantiles for each in rows])
    scales = np.concatenate([each.scales for each in rows])
    losses = pinball(y, quantiles, levels)
    places = {round(float(level), 2): k for k, level in enumerate(levels)}

    def covers(ends: tuple[float, float]) -> float:
        low, high = (quantiles[..., places[end]] for end in ends)
        inside = np.where(np.isfinite(y), (y >= low) & (y <= high), np.nan)
        return float(np.nanmean(inside))

    def mean_of(values: np.ndarray) -> float:
        return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan

    median = quantiles[..., places[0.5]]
    squares = ((y - mean) / scales[:, 1:]) ** 2
    return Scores(
        crps=mean_of(losses / scales[:, :1]),
        mase=mean_of(np.abs(y - median) / scales[:, :1]),
        rmsse=math.sqrt(mean_of(squares)),
        smape=mean_of(symmetric_percentage(y, median)),
        weighted_quantile_loss=float(np.nansum(losses) / max(1e-300, np.nansum(np.abs(y)))),
        covers_90=covers(WIDE),
        covers_50=covers(NARROW),
    )


def _differences(
    rows: Mapping[str, Sequence[_Row]], levels: np.ndarray
) -> tuple[str, dict[str, Difference]]:
    """The model's CRPS less each other's: paired by series where there are several, else by
    origins, so that values that hang together count once."""

    def by_series(name: str) -> np.ndarray:
        series = np.concatenate([each.series for each in rows[name]])
        losses = np.concatenate([np.nanmean(each.crps(levels), -1) for each in rows[name]])
        return np.array([np.nanmean(losses[series == s]) for s in np.unique(series)])

    def by_origin(name: str) -> np.ndarray:
        return np.array([np.nanmean(each.crps(levels)) for each in rows[name]])

    with np.errstate(all="ignore"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of means over nothing, which are left out
            several = len(np.unique(np.concatenate([each.series for each in rows[MODEL]])))
            paired_by, of = ("series", by_series) if several >= FEWEST_PAIRS else (
                "origins", by_origin
            )  # fmt: skip
            own = of(MODEL)
            pairs = {name: own - of(name) for name in rows if name != MODEL}
    kept = {name: each[np.isfinite(each)].tolist() for name, each in pairs.items()}
    return paired_by, dict(zip(kept, differences(list(kept.values())), strict=True))


def _copies(values: np.ndarray) -> Copies:
    last, after, said = values[:, np.isfinite(values).all(0)]
    moved = float(np.abs(after - last).mean()) if len(last) else 0.0
    if not moved:
        return Copies(math.nan, math.nan)
    share = 1 - float(np.abs(said - last).mean()) / moved
    skill = 1 - float(np.abs(after - said).mean()) / moved
    return Copies(max(0.0, share), skill)
