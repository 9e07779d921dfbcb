"""A trained forecaster, ready to use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

import glasscell.version
from glasscell.errors import UserError
from glasscell.tasks.models import telling_of_memory
from glasscell.tasks.series.columns import Columns
from glasscell.tasks.series.forecast import Forecast, forecast
from glasscell.tasks.series.frequency import Frequency
from glasscell.tasks.series.inputs import InputPlan
from glasscell.tasks.series.model import Forecaster, SeriesConfig
from glasscell.tasks.series.panel import Features, Panel, Report, panel_of
from glasscell.tasks.series.parts import Parts
from glasscell.tasks.series.table import read_table
from glasscell.training.model_folder import (
    FORMAT,
    METRICS,
    FolderError,
    FolderWriter,
    load_weights,
    read_json,
)

if TYPE_CHECKING:
    from glasscell.tasks.series.backtest import Backtest

SERIES = "series.json"  # how data become inputs
HISTORY = "history.safetensors"  # the series that the model was trained on
ARRAYS = ("first", "offsets", "lengths", "target", "known", "observed", "static")


@dataclass
class SeriesRun:
    """A trained forecaster with the series it was trained on.

    Attributes:
        model: the weights that did best on the validation part, in evaluation mode.
        plan: how series become inputs.
        panel: the series that it was trained on, with their later parts.
        parts: of the panel, by time.
        columns: of the data.
        metrics: how training went: see metrics.json.
        path: the model folder, where there is one.
        config: what config.json says.
    """

    model: Forecaster
    plan: InputPlan
    panel: Panel
    parts: Parts
    columns: Columns
    metrics: dict[str, Any]
    path: Path | None = None
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def horizon(self) -> int:
        return self.model.config.horizon

    def panel_of(self, data: str | os.PathLike[str] | Any) -> Panel:
        """The series of other data, in the same columns and at the same frequency.

        Raises:
            UserError: data that cannot be used.
        """
        table = read_table(data, self.columns)
        panel = self.panel
        rounded = bool(self.config["data"].get("every"))
        return panel_of(table, frequency=panel.frequency, features=panel.features, rounded=rounded)

    def predict(
        self,
        data: str | os.PathLike[str] | Any = None,
        *,
        horizon: int | None = None,
        **options: Any,
    ) -> Forecast:
        """What comes after the end of each series.

        Args:
            data: a CSV file or a frame with the series until now, and, where something is known in
                advance, rows for the steps to come with an empty target; by default the series
                that the model was trained on. Series that were not there in training are forecast
                from what they are themselves (`new_series`).
            horizon: steps.
            options: as of `tasks.series.forecast`: levels, paths, seed.

        Raises:
            UserError: data that cannot be used, a horizon that is too long.
        """
        panel = None if data is None else self.panel_of(data)
        return self.forecast_of(panel, horizon=horizon, **options)

    def forecast_of(self, panel: Panel | None = None, **options: Any) -> Forecast:
        """What comes after the end of each series of a panel, or of its own; see `predict`."""
        return forecast(self.model, self.plan, self.panel if panel is None else panel, **options)

    def backtest(self, panel: Panel | None = None, **options: Any) -> Backtest:
        """How good the model is on the test part, beside simple forecasts; options as of
        `tasks.series.backtest`.

        Args:
            panel: with the test part; its own by default.
        """
        from glasscell.tasks.series.backtest import backtest

        own = self.panel if panel is None else panel
        return backtest(self.model, self.plan, own, self.parts, **options)

    def new_series(self, panel: Panel) -> tuple[str, ...]:
        """The series of a panel that were not there in training: they are scaled by their own
        history."""
        return tuple(name for name in panel.names if name not in self.plan.scales.of)

    @classmethod
    def read(cls, folder: Path, config: dict[str, Any]) -> SeriesRun:
        """Reads a model folder whose config.json has been read."""
        plain = read_json(folder, SERIES)
        try:
            plan = InputPlan.of(plain["inputs"])
            data = config["data"]
            roles = {n: tuple(v) for n, v in data["columns"].items() if n != "time"}
            columns = Columns(time=data["columns"]["time"], **roles)
            panel = _panel(folder, plain)
            parts = Parts(**data["parts"])
            with telling_of_memory(), torch.random.fork_rng(devices=[]):
                model = Forecaster(SeriesConfig(**config["model"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FolderError(
                f"{folder} is damaged: its description of the model: {error}"
            ) from None
        load_weights(model, folder)
        return cls(
            model.eval(), plan, panel, parts, columns, read_json(folder, METRICS), folder, config
        )


def write_series(writer: FolderWriter, plan: InputPlan, panel: Panel) -> None:
    """Writes how data become inputs, and the data."""
    features = asdict(panel.features)
    writer.write(
        SERIES,
        {
            "inputs": plan.as_dict(),
            "frequency": asdict(panel.frequency),
            "features": features,
            "names": list(panel.names),
            "zone": panel.zone,
            "dates": panel.dates,
            "report": asdict(panel.report),
        },
    )
    arrays = {name: np.ascontiguousarray(getattr(panel, name)) for name in ARRAYS}
    writer.write(HISTORY, save_arrays(arrays))


def series_config(
    model: SeriesConfig, training: Mapping[str, Any], data: Mapping[str, Any], precision: str
) -> dict[str, Any]:
    """What config.json of a forecaster says."""
    return {
        "format": FORMAT,
        "task": "series",
        "glasscell": glasscell.version.__version__,
        "torch": torch.__version__,
        "model": asdict(model),
        "training": dict(training),
        "precision": precision,
        "data": dict(data),
    }


def _panel(folder: Path, plain: Mapping[str, Any]) -> Panel:
    try:
        arrays = load_arrays((folder / HISTORY).read_bytes())
    except FileNotFoundError:
        raise FolderError(f"{folder} is not a whole model folder: it has no {HISTORY}") from None
    except (SafetensorError, OSError) as error:
        raise FolderError(f"{folder / HISTORY} is damaged: {error}") from None
    features, report = dict(plain["features"]), dict(plain["report"])
    words = features["words"]
    if words is not None:
        features["words"] = {name: tuple(each) for name, each in words.items()}
    for name in ("known", "observed", "static"):
        features[name] = tuple(features[name])
    report["constant"] = tuple(report["constant"])
    names = tuple(plain["names"])
    found = Panel(
        frequency=Frequency(**plain["frequency"]),
        names=names,
        features=Features(**features),
        zone=plain["zone"],
        dates=plain["dates"],
        report=Report(**report),
        **{name: arrays[name] for name in ARRAYS},
    )
    N = len(found.target)
    rows = (len(found.known), len(found.observed), int(found.offsets[-1]))
    if rows != (N, N, N) or len(found.offsets) != len(names) + 1:
        raise FolderError(f"{folder / HISTORY} is damaged: its arrays do not fit together")
    return found


def require_series(run: Any, path: Any) -> SeriesRun:
    """Raises UserError where a run is no forecaster."""
    if not isinstance(run, SeriesRun):
        raise UserError(
            f"{path} holds a model for the task {run.config['task']!r}, which forecasts no series"
        )
    return run
