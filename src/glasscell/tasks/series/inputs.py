"""From a panel to the numbers that a forecaster reads: scaled, and marked where one is missing.

What is scaled by is taken from the training part alone, and kept with the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glasscell.errors import UserError
from glasscell.tasks.series.calendar import calendar, calendar_names
from glasscell.tasks.series.panel import Panel

SCALINGS = ("standard", "mean")
SMALLEST = 1e-8  # of a spread, in units of the largest value there is


@dataclass(frozen=True)
class Scales:
    """What a series is scaled by, (y - location) / scale, and between what its values have been.

    Attributes:
        kind: "standard": mean and standard deviation; "mean": 0 and 1 + the mean of |y|, which
            keeps counts counts (Salinas et al. 2020, section 3.3).
        of: of each series by name: location and scale, and the least and the greatest value.
    """

    kind: str
    of: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict)

    @classmethod
    def fitted(cls, panel: Panel, ends: np.ndarray, kind: str) -> Scales:
        """Of the rows of each series before its end.

        Args:
            ends: (S,) rows of each that may be looked at.

        Raises:
            UserError: a kind that is none.
        """
        if kind not in SCALINGS:
            raise UserError(f"scaling: expected one of {', '.join(SCALINGS)}, got {kind!r}")
        of = {
            name: scale_of(panel.target[panel.offsets[s] : panel.offsets[s] + ends[s]], kind)
            for s, name in enumerate(panel.names)
        }
        return cls(kind, of)

    def for_panel(self, panel: Panel, seen: np.ndarray) -> np.ndarray:
        """(S, 4) of each series of a panel; of one that was not there in training, by what has
        been seen of it.

        Args:
            seen: (S,) rows of each.
        """
        return np.array([
            self.of.get(name) or scale_of(panel.target[panel.rows(s)][: seen[s]], self.kind)
            for s, name in enumerate(panel.names)
        ]).reshape(len(panel), 4)  # fmt: skip


def scale_of(values: np.ndarray, kind: str) -> tuple[float, float, float, float]:
    """Location, scale, least and greatest value of one series; 0, 1, 0, 0 of one without values."""
    there = values[np.isfinite(values)]
    if not len(there):
        return 0.0, 1.0, 0.0, 0.0
    ends = float(there.min()), float(there.max())
    if kind == "mean":
        return 0.0, 1.0 + float(np.abs(there).mean()), *ends
    mean, spread = float(there.mean()), float(there.std())
    least = SMALLEST * max(1.0, float(np.abs(there).max()))
    return mean, spread if spread > least else 1.0, *ends


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a forecaster reads of a panel.

    Attributes:
        target: (N,) float32 scaled, NaN where it is missing.
        read: (N, I) float32, what is read of each row: its level, the change to it, 1 where it is
            missing, what is known and observed of it, what is static, the size of the series. The
            level is the last value that was there, held between the least and the greatest of
            training: so that a series that leaves its range is read by its changes.
        last: (N,) float32 the last value that was there, scaled, not held.
        bounds: (S, 2) float32 the least and the greatest level.
        future: (N, K) float32, what is known of each row in advance: also that of read.
        scales: (S, 2) location and scale of each series.
        observed: the columns of read that are observed: pairs of a value, and 1 where it is
            missing.
    """

    target: np.ndarray
    read: np.ndarray
    last: np.ndarray
    bounds: np.ndarray
    future: np.ndarray
    scales: np.ndarray
    observed: slice


@dataclass(frozen=True)
class InputPlan:
    """How a panel becomes inputs; what it says is kept with the model.

    Attributes:
        scales: of the targets.
        size: mean and spread of the logarithms of the series' sizes.
        known, observed, static: mean and spread of each feature.
    """

    scales: Scales
    size: tuple[float, float]
    known: tuple[tuple[float, float], ...]
    observed: tuple[tuple[float, float], ...]
    static: tuple[tuple[float, float], ...]

    @classmethod
    def fitted(cls, panel: Panel, ends: np.ndarray, kind: str) -> InputPlan:
        """Of the rows of each series before its end; see `Scales.fitted`."""
        spans = np.diff(panel.offsets)
        within = np.arange(len(panel.target)) < (panel.offsets[:-1] + ends).repeat(spans)
        scales = Scales.fitted(panel, ends, kind)
        return cls(
            scales,
            _standards(_sizes(scales.for_panel(panel, ends))[:, None])[0],
            _standards(panel.known[within]),
            _standards(panel.observed[within]),
            _standards(panel.static),
        )

    def names(self, panel: Panel) -> tuple[str, ...]:
        """What is read, column by column."""
        features = panel.features
        return (
            "level", "change", "is missing", *calendar_names(panel.frequency), *features.known,
            *(name for each in features.observed for name in (each, f"{each} is missing")),
            *features.static, "size of the series",
        )  # fmt: skip

    def inputs(self, panel: Panel, seen: np.ndarray | None = None) -> Inputs:
        """The numbers of a panel.

        Args:
            seen: (S,) rows of each series that may be looked at to scale a new one; all that have
                a target by default.
        """
        spans = np.diff(panel.offsets)
        scales = self.scales.for_panel(panel, panel.lengths if seen is None else seen)
        location, scale = (scales[:, k].repeat(spans) for k in (0, 1))
        target = ((panel.target - location) / scale).astype(np.float32)
        missing = np.isnan(target)
        bounds = ((scales[:, 2:] - scales[:, :1]) / scales[:, 1:2]).astype(np.float32)
        last = _carried(target, panel.offsets)
        before = np.concatenate((last[:1], last[:-1]))
        before[panel.offsets[:-1]] = last[panel.offsets[:-1]]
        level = np.clip(last, *(bounds[:, k].repeat(spans) for k in (0, 1)))
        within = np.arange(len(target)) - panel.offsets[:-1].repeat(spans)
        places = panel.first.repeat(spans) + within
        future = np.concatenate(
            (calendar(panel.frequency, places), _scaled(panel.known, self.known)), -1
        )
        observed = _scaled(panel.observed, self.observed)
        gone = np.isnan(observed)
        marked = np.stack((np.where(gone, 0, observed), gone), -1).reshape(len(target), -1)
        size = _scaled(_sizes(scales)[:, None], (self.size,))
        of_series = np.concatenate((_scaled(panel.static, self.static), size), -1)
        read = np.concatenate(
            (
                np.stack((level, last - before, missing), -1),
                future,
                marked,
                of_series.repeat(spans, 0),
            ),
            -1,
            dtype=np.float32,
        )
        begin = 3 + future.shape[1]
        own = slice(begin, begin + marked.shape[1])
        return Inputs(target, read, last, bounds, future.astype(np.float32), scales[:, :2], own)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the model folder."""
        return {
            "scaling": self.scales.kind,
            "series": {name: list(each) for name, each in self.scales.of.items()},
            "size": self.size,
            "known": self.known, "observed": self.observed, "static": self.static,
        }  # fmt: skip

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> InputPlan:
        """The plan of plain data.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        pairs = {
            role: tuple((float(mean), float(spread)) for mean, spread in plain[role])
            for role in ("known", "observed", "static")
        }
        series = {
            name: (float(a), float(b), float(c), float(d))
            for name, (a, b, c, d) in plain["series"].items()
        }
        mean, spread = plain["size"]
        return cls(Scales(plain["scaling"], series), (float(mean), float(spread)), **pairs)


def _sizes(scales: np.ndarray) -> np.ndarray:
    """(S,) how large the numbers of each series are, on a scale of logarithms."""
    return np.log1p(np.abs(scales[:, :2]).sum(-1))


def _carried(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Each value as the last one of its series that was there; 0 before the first."""
    places = np.where(np.isfinite(values), np.arange(len(values)), -1)
    last = np.maximum.accumulate(places)
    begins = offsets[:-1].repeat(np.diff(offsets))
    return np.where(last >= begins, values[np.maximum(last, 0)], 0).astype(np.float32)


def _standards(values: np.ndarray) -> tuple[tuple[float, float], ...]:
    found = []
    for column in values.T:
        there = column[np.isfinite(column)]
        spread = float(there.std()) if len(there) else 0.0
        found.append((float(there.mean()) if len(there) else 0.0, spread or 1.0))
    return tuple(found)


def _scaled(values: np.ndarray, standards: tuple[tuple[float, float], ...]) -> np.ndarray:
    if not standards:
        return np.zeros((len(values), 0), np.float32)
    mean, spread = np.array(standards).T
    return ((values - mean) / spread).astype(np.float32)
