"""Forecasts from the end of each series, or from earlier steps of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from glasscell.errors import UserError
from glasscell.files import write_file
from glasscell.tasks.series.distributions import LEVELS, interpolated
from glasscell.tasks.series.inputs import InputPlan
from glasscell.tasks.series.model import Forecaster
from glasscell.tasks.series.panel import Panel

if TYPE_CHECKING:
    import polars as pl

SIDE_BY_SIDE = 256  # series
PATHS = 200  # drawn of each series, where a forecast is made of them


@dataclass(frozen=True, eq=False)
class Forecast:
    """What is expected of each series, step by step.

    Attributes:
        names: (S,) of the series.
        times: (S, horizon) places on the grid.
        mean: (S, horizon) in the units of the data: the mean, of quantiles the median.
        quantiles: (S, horizon, levels), rising.
        levels: of the quantiles.
        paths: (S, paths, horizon) ways that it may go, where the model draws them; else None.
        panel: the series, with their grid.
    """

    names: tuple[str, ...]
    times: np.ndarray
    mean: np.ndarray
    quantiles: np.ndarray
    levels: tuple[float, ...]
    paths: np.ndarray | None
    panel: Panel

    @property
    def horizon(self) -> int:
        return self.times.shape[1]

    def level(self, level: float) -> np.ndarray:
        """(S, horizon) one quantile; between those that there are along a straight line."""
        values = torch.from_numpy(self.quantiles)
        return interpolated(values, self.levels, (level,))[..., 0].numpy()

    def frame(self, levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95)) -> pl.DataFrame:
        """A row for each series and step: its name, its time, the mean, the quantiles as "q05"."""
        import polars as pl

        horizon = self.horizon
        columns: dict[str, Any] = {}
        if self.names != ("",):
            columns["series"] = np.repeat(np.array(self.names, object), horizon).tolist()
        columns["time"] = self.panel.times(self.times.ravel())
        columns["mean"] = self.mean.ravel()
        for level in levels:
            columns[f"q{100 * level:02.0f}"] = self.level(level).ravel()
        return pl.DataFrame(columns)

    def write_csv(self, path: str | Path, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> None:
        """Writes `frame` as CSV, whole or not at all.

        Raises:
            WriteError: the file cannot be written.
        """
        write_file(Path(path), self.frame(levels).write_csv().encode())

    def __str__(self) -> str:
        return str(self.frame((0.05, 0.5, 0.95)))


def forecast(
    model: Forecaster,
    plan: InputPlan,
    panel: Panel,
    *,
    origins: np.ndarray | None = None,
    horizon: int | None = None,
    levels: tuple[float, ...] = LEVELS,
    paths: int = PATHS,
    seed: int = 0,
) -> Forecast:
    """Forecasts of the steps after `origins`.

    Args:
        model: in evaluation mode.
        plan: how the panel becomes inputs.
        panel: all series; what is known in advance must reach as far as the forecast.
        origins: (S,) rows of each series that may be looked at; all by default.
        horizon: steps; those of the model by default. A direct decoder says no more than it was
            trained for.
        levels: of the quantiles.
        paths: drawn by an autoregressive decoder.
        seed: of what is drawn.

    Raises:
        UserError: a horizon that the model cannot forecast, a series without a value, covariates
            that are not known for long enough.
    """
    config = model.config
    horizon = horizon or config.horizon
    if config.decoder == "direct" and horizon > config.horizon:
        raise UserError(
            f"horizon: the model was trained for {config.horizon} steps, and says no more at once; "
            f'train with --horizon {horizon}, or with decoder="autoregressive"'
        )
    origins = panel.lengths if origins is None else origins
    if (origins < 1).any():
        s = int(np.flatnonzero(origins < 1)[0])
        raise UserError(f"series {panel.names[s]!r} has no value to begin a forecast from")
    extended = _extended(panel, origins, horizon)
    inputs = plan.inputs(extended, origins)
    location, scale = inputs.scales.T
    found = {"mean": [], "quantiles": [], "paths": []}
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for at in np.array_split(np.arange(len(panel)), -(-len(panel) // SIDE_BY_SIDE)):
            for name, each in _some(model, extended, inputs, at, origins, horizon, levels, paths):
                shape = (-1, *(1,) * (each.ndim - 1))
                values = each.double().numpy()
                found[name].append(values * scale[at].reshape(shape) + location[at].reshape(shape))
    places = (panel.first + origins)[:, None] + np.arange(horizon)
    quantiles = np.concatenate(found["quantiles"])
    return Forecast(
        names=panel.names,
        times=places,
        mean=np.concatenate(found["mean"]),
        quantiles=quantiles,
        levels=levels,
        paths=np.concatenate(found["paths"]) if found["paths"] else None,
        panel=panel,
    )


def _some(
    model: Forecaster,
    panel: Panel,
    inputs: Any,
    at: np.ndarray,
    origins: np.ndarray,
    horizon: int,
    levels: tuple[float, ...],
    paths: int,
) -> list[tuple[str, Tensor]]:
    """Of some series, scaled: the mean (B, horizon), the quantiles (B, horizon, levels), and paths
    (B, paths, horizon)."""
    ends = panel.offsets[:-1][at] + origins[at]  # the row after the last that is read
    lengths = torch.from_numpy(origins[at])
    T, B = int(lengths.max()), len(at)
    steps = np.arange(T)[:, None] + panel.offsets[:-1][at]  # (T, B)
    there = steps < ends
    rows = np.minimum(steps, len(inputs.read) - 1)
    read = torch.from_numpy(inputs.read[rows] * there[..., None])
    weight = next(model.parameters())
    h, state = model.rnn(model.map(read.to(weight)), lengths=lengths)
    last = h[lengths - 1, torch.arange(B)]  # (B, H)
    ahead = torch.from_numpy(inputs.future[ends[:, None] + np.arange(horizon)]).to(weight)
    scale = torch.from_numpy(inputs.scales[at, 1]).to(weight)[:, None]
    anchor = torch.from_numpy(inputs.last[ends - 1]).to(weight)  # what is said is added to it
    if model.output.counts:
        anchor = torch.zeros_like(anchor)
    if model.config.decoder == "direct":
        future = torch.zeros(B, model.config.horizon, ahead.shape[-1], dtype=weight.dtype)
        future[:, :horizon] = ahead
        raw = model.say(last, future)[:, :horizon]
        own = scale.expand(-1, horizon)
        return [
            ("mean", model.output.mean(raw, own) + anchor[:, None]),
            ("quantiles", model.output.quantiles(raw, own, levels) + anchor[:, None, None]),
        ]
    drawn = _paths(model, inputs, at, ends, last, state, ahead, scale, paths, horizon)
    quantiles = drawn.quantile(drawn.new_tensor(levels), 1).movedim(0, -1)
    return [("mean", drawn.mean(1)), ("quantiles", quantiles), ("paths", drawn)]


def _paths(
    model: Forecaster,
    inputs: Any,
    at: np.ndarray,
    ends: np.ndarray,
    last: Tensor,
    state: Any,
    ahead: Tensor,
    scale: Tensor,
    paths: int,
    horizon: int,
) -> Tensor:
    """(B, paths, horizon) drawn one step after the other, each read by the next."""
    B = len(ends)
    several = lambda t: t.repeat_interleave(paths, t.ndim - 2)  # noqa: E731  (..., B * paths, H)
    last = several(last)
    state = tuple(map(several, state)) if isinstance(state, tuple) else several(state)
    own = scale.repeat_interleave(paths, 0)
    before = torch.from_numpy(inputs.last[ends - 1]).to(last).repeat_interleave(paths, 0)
    least, most = torch.from_numpy(inputs.bounds[at]).to(last).repeat_interleave(paths, 0).T
    found = []
    for k in range(horizon):
        raw = model.say(last, several(ahead[:, k])[:, None])  # (B * paths, 1, parameters)
        value = model.output.draw(raw, own)[:, 0]
        value = value if model.output.counts else value + before
        found.append(value)
        if k + 1 == horizon:
            break
        read = torch.from_numpy(inputs.read[ends + k]).to(last).repeat_interleave(paths, 0)
        read[:, 0], read[:, 1], read[:, 2] = value.clamp(least, most), value - before, 0.0
        before = value
        seen = read[:, inputs.observed]  # nothing is observed of what has not come yet
        seen[:, 0::2], seen[:, 1::2] = 0.0, 1.0
        h, state = model.rnn(model.map(read[None]), state)
        last = h[0]
    return torch.stack(found, -1).unflatten(0, (B, paths))


def _extended(panel: Panel, origins: np.ndarray, horizon: int) -> Panel:
    """The panel with as many rows after each origin as are forecast.

    Raises:
        UserError: what is known in advance ends before.
    """
    from dataclasses import replace

    spans = np.diff(panel.offsets)
    lacking = np.maximum(0, origins + horizon - spans)
    if not lacking.any():
        return panel
    if panel.known.shape[1]:
        s = int(lacking.argmax())
        name = f" of {panel.names[s]!r}" if panel.names[s] else ""
        until = panel.times(panel.first[s : s + 1] + spans[s] - 1)[0]
        raise UserError(
            f"what is known in advance ends{name} at {until}, {lacking[s]} steps before the end of "
            f"the forecast: add rows for those steps with {', '.join(panel.features.known)}, and "
            "an empty target"
        )
    wanted = spans + lacking
    offsets = np.concatenate(([0], np.cumsum(wanted)))
    at = np.arange(len(panel.target)) + (offsets - panel.offsets)[:-1].repeat(spans)

    def spread(values: np.ndarray) -> np.ndarray:
        found = np.full((int(offsets[-1]), *values.shape[1:]), np.nan)
        found[at] = values
        return found

    return replace(
        panel,
        offsets=offsets,
        target=spread(panel.target),
        known=np.zeros((int(offsets[-1]), 0)),
        observed=spread(panel.observed),
    )
