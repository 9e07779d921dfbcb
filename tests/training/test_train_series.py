"""A forecaster, from a table to a folder and back."""

import json
import os
import signal
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import glasscell
from glasscell.errors import UserError
from glasscell.tasks.series.distributions import LEVELS
from glasscell.training.model_folder import FolderError
from glasscell.training.series_module import SeriesModule

STEPS = np.arange(120)


def cases(seed: int = 0, series: int = 3) -> pl.DataFrame:
    """Counts that rise and fall with the week, each series at a day of its own."""
    generator = np.random.default_rng(seed)
    parts = [
        pl.DataFrame({
            "day": np.datetime64("2024-01-01") + STEPS.astype("timedelta64[D]"),
            "region": [f"r{k}"] * len(STEPS),
            "y": generator.poisson(20 * (k + 1) * np.exp(np.sin(2 * np.pi * (STEPS + k) / 7))),
            "holiday": STEPS % 10 == 0,
            "weather": generator.normal(size=len(STEPS)),
            "size": float(k),
        })
        for k in range(series)
    ]  # fmt: skip
    return pl.concat(parts)


COLUMNS: dict[str, Any] = {"target": "y", "time": "day", "group": "region", "horizon": 5}
SMALL: dict[str, Any] = {"hidden": 8, "steps": 6, "batch": 2, "progress": False}


def test_a_folder_and_what_it_says(tmp_path):
    data = cases()
    data.write_csv(tmp_path / "cases.csv")
    covariates = {"known": "holiday", "observed": "weather", "static": "size"}
    run = glasscell.train_series(
        tmp_path / "cases.csv", out=tmp_path / "run", **COLUMNS, **covariates, **SMALL
    )
    config = json.loads((tmp_path / "run" / "config.json").read_bytes())
    assert (config["task"], config["model"]["horizon"]) == ("series", 5)
    assert config["data"]["columns"]["known"] == ["holiday"]
    again = glasscell.load(tmp_path / "run")
    names = run.plan.names(run.panel)
    assert names[:3] == ("level", "change", "is missing")
    assert names[-3:] == ("weather is missing", "size", "size of the series")
    assert {"holiday", "sine of the week", "weather"} <= {*names}
    with pytest.raises(UserError, match=r"ends of 'r0' at 2024-04-29, 5 steps before the end"):
        run.predict()
    last = data.group_by("region", maintain_order=True).tail(5).select(data.columns)
    later = last.with_columns(
        pl.col("day").dt.offset_by("5d"), y=None, weather=None
    )  # fmt: skip
    whole = pl.concat([data, later], how="vertical_relaxed")
    found = [each.predict(whole) for each in (run, again)]
    assert np.array_equal(found[0].quantiles, found[1].quantiles)
    assert found[0].frame()["time"].to_list()[:5] == later["day"].to_list()[:5]
    assert found[0].frame().columns == ["series", "time", "mean", "q05", "q25", "q50", "q75", "q95"]


@pytest.mark.parametrize("output", ["quantiles", "normal", "student", "negative_binomial"])
@pytest.mark.parametrize("decoder", ["direct", "autoregressive"])
def test_every_output_and_decoder(output, decoder):
    run = glasscell.train_series(cases(), **COLUMNS, **SMALL, output=output, decoder=decoder)
    found = run.predict(seed=3)
    assert found.quantiles.shape == (3, 5, len(LEVELS))
    assert (np.diff(found.quantiles, axis=-1) >= 0).all()
    if decoder == "autoregressive":
        assert found.paths is not None
        assert found.paths.shape == (3, 200, 5)
        assert np.array_equal(found.mean, run.predict(seed=3).mean)
        assert not np.array_equal(found.mean, run.predict(seed=4).mean)
        assert run.predict(horizon=9).mean.shape == (3, 9)
        if output == "negative_binomial":
            np.testing.assert_allclose(found.paths, found.paths.round(), atol=1e-4)
    else:
        with pytest.raises(UserError, match="was trained for 5 steps, and says no more"):
            run.predict(horizon=6)
        assert np.array_equal(run.predict(horizon=2).mean, found.mean[:, :2])


def test_a_forecast_looks_at_nothing_that_comes_later():
    """Neither what is read nor how it is scaled: values after the origin may be anything."""
    from glasscell.tasks.series.forecast import forecast

    data = cases()
    run = glasscell.train_series(data, **COLUMNS, observed="weather", **SMALL,
                                 decoder="autoregressive")  # fmt: skip
    late = pl.col("day") >= pl.lit("2024-04-01").str.to_date()
    other = data.with_columns(
        pl.when(late).then(1e6).otherwise(pl.col(name)).alias(name) for name in ("y", "weather")
    )
    origins = np.full(3, 91)
    one, two = (
        forecast(run.model, run.plan, run.panel_of(each), origins=origins) for each in (data, other)
    )
    assert one.paths is not None
    assert two.paths is not None
    assert np.array_equal(one.paths, two.paths)


def test_the_training_part_alone_is_trained_on():
    data = cases()
    test_part = pl.col("day") >= pl.lit("2024-04-17").str.to_date()
    other = data.with_columns(y=pl.when(test_part).then(9_999).otherwise("y"))
    one, two = (glasscell.train_series(each, **COLUMNS, **SMALL) for each in (data, other))
    assert one.parts == two.parts
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_resuming_gives_the_same_bits(tmp_path, monkeypatch):
    given = {**COLUMNS, **SMALL, "steps": 12, "validate_every": 4, "dropout": 0.2}
    glasscell.train_series(cases(), out=tmp_path / "whole", **given)
    original = SeriesModule.loss

    def interrupted(self, batch):
        if self.step == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, batch)

    monkeypatch.setattr(SeriesModule, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        glasscell.train_series(cases(), out=tmp_path / "parts", **given)
    monkeypatch.undo()
    glasscell.resume_series(tmp_path / "parts", progress=False)
    whole, parts = (load_file(tmp_path / n / "model.safetensors") for n in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    with pytest.raises(UserError, match="has finished training"):
        glasscell.resume_series(tmp_path / "parts", progress=False)


def test_new_series_are_scaled_by_what_they_are():
    run = glasscell.train_series(cases(), **COLUMNS, **SMALL)
    new = cases(1).with_columns(pl.col("region").str.replace("r", "new"), pl.col("y") * 1000)
    panel = run.panel_of(new)
    assert run.new_series(panel) == ("new0", "new1", "new2")
    found = run.forecast_of(panel).mean
    assert (found > 1000).all()


def test_a_backtest_beside_simple_forecasts():
    run = glasscell.train_series(cases(), **COLUMNS, **{**SMALL, "steps": 60})
    found = run.backtest()
    assert list(found.scores) == [
        "the model", "naive", "seasonal naive", "drift", "exponential smoothing"
    ]  # fmt: skip
    assert (found.paired_by, found.series, len(found.origins)) == ("series", (3, 3), 2)
    assert found.values == 3 * 2 * 5
    # the naive forecast's error, by hand

    def error(y: np.ndarray, origin: int) -> float:
        scale = np.abs(y[7:96] - y[:89]).mean()
        return np.abs(y[origin : origin + 5] - y[origin - 1]).mean() / scale

    series = [run.panel.target[run.panel.rows(s)] for s in range(3)]
    errors = [error(y, origin) for y in series for origin in (110, 115)]
    assert found.scores["naive"].mase == pytest.approx(np.mean(errors))
    assert json.dumps(found.as_dict())
    assert found.sentences()[0].startswith("Beside naive its CRPS is ")
    with pytest.raises(UserError, match="origins, series: expected at least 1"):
        run.backtest(origins=0)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"horizon": 60}, "too short: 120 steps at most, and a horizon of 60 needs at least 180"),
        ({"horizon": 0}, "horizon: expected 1 to"),
        ({"hidden": 0}, "hidden: expected 1 to"),
        ({"output": "gamma"}, "output: expected one of"),
        ({"decoder": "both"}, "decoder: expected one of direct, autoregressive"),
        ({"cell": "ltsm"}, "did you mean lstm"),
        ({"context": 0}, "context: expected at least 1"),
        ({"every": "2 weeks"}, "every: expected a step such as"),
        ({"every": "1h"}, None),
        ({"target": "weather", "output": "negative_binomial"}, "is of whole numbers from 0"),
        ({"target": "cases"}, "has no column 'cases'"),
    ],
)
def test_what_cannot_be(changes, says):
    given = {**COLUMNS, **SMALL, **changes}
    if says is None:  # a finer step is a grid with gaps
        assert str(glasscell.train_series(cases(), **given).panel.frequency) == "1 hour"
        return
    with pytest.raises(UserError, match=says):
        glasscell.train_series(cases(), **given)


def test_damaged_folders(tmp_path):
    glasscell.train_series(cases(), out=tmp_path / "run", **COLUMNS, **SMALL)
    with pytest.raises(FolderError, match="already holds a model"):
        glasscell.train_series(cases(), out=tmp_path / "run", **COLUMNS, **SMALL)
    for name in ("series.json", "history.safetensors", "model.safetensors"):
        path = tmp_path / "run" / name
        whole = path.read_bytes()
        for damaged in (b"", b"{}", whole[: len(whole) // 2]):
            path.write_bytes(damaged)
            with pytest.raises(FolderError, match=r"damaged|does not belong"):
                glasscell.load(tmp_path / "run")
        path.write_bytes(whole)
    assert glasscell.load(tmp_path / "run").horizon == 5


def test_a_column_that_gives_the_forecast_away_is_told():
    """Tomorrow's value itself, as if it were known in advance; and one that is not."""
    data = cases().with_columns(leak=pl.col("y").cast(pl.Float64) * 3)
    given = {**COLUMNS, **SMALL, "steps": 250, "hidden": 16, "learning_rate": 0.01}
    run = glasscell.train_series(data, **given, known="leak,holiday")
    found = run.backtest()
    assert found.leaks["leak"] > 2 > found.leaks["holiday"]
    told = [said for said in found.sentences() if "give the forecast away" in said]
    assert len(told) == 1
    assert told[0].startswith("leak may give the forecast away: read as it was a step before")
    honest = glasscell.train_series(data, **{**given, "steps": 6}, known="holiday").backtest()
    assert honest.sentences()[-1].startswith("Nothing that is known in advance gives the forecast")


def test_a_series_that_never_changes_has_no_score():
    flat = pl.DataFrame({"t": range(60), "y": [3.0] * 60})
    run = glasscell.train_series(flat, target="y", time="t", horizon=4, steps=2, progress=False)
    (said,) = run.backtest().sentences()
    assert said.startswith("The series do not change in their training part")
