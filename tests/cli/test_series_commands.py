"""`glasscell train series`, `forecast` and `evaluate` of a forecaster: the whole way."""

import json
import re

import numpy as np
import polars as pl
import pytest

STEPS = np.arange(100)
SMALL = ["--hidden", "6", "--batch", "2", "--steps", "6", "--quiet"]
GIVEN = ["--time", "day", "--target", "y", "--group", "g", "--horizon", "4"]


@pytest.fixture
def cases(tmp_path):
    """A file of two series, with a gap, a missing value and a row out of its order."""
    generator = np.random.default_rng(0)
    parts = [
        pl.DataFrame({
            "day": np.datetime64("2024-01-01") + STEPS.astype("timedelta64[D]"),
            "g": [name] * len(STEPS),
            "y": generator.poisson(30 * np.exp(np.sin(2 * np.pi * STEPS / 7))).astype(float),
        })
        for name in ("a", "b")
    ]  # fmt: skip
    table = pl.concat(parts).with_row_index()
    table = table.with_columns(y=pl.when(pl.col("index") == 20).then(None).otherwise("y"))
    table = table.filter(pl.col("index") != 30)
    order = [1, 0, *range(2, table.height)]
    path = tmp_path / "cases.csv"
    table[order].drop("index").write_csv(path)
    return path


def test_train_forecast_evaluate(cli, cases, tmp_path):
    result = cli("train", "series", cases, *GIVEN, "--out", "run", *SMALL)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "2 series of 200 steps, one every 1 day"
    assert lines[1].startswith("1 steps had no row and 1 rows had no target: read as missing")
    assert lines[2] == "rows were out of order, and have been sorted"
    assert lines[-1] == "next: glasscell forecast run"

    told = cli("forecast", "run", "--horizon", "2")
    rows = [line for line in told.out.splitlines() if line.startswith("| a")]
    assert [re.findall(r"2024-\d\d-\d\d", row)[0] for row in rows] == ["2024-04-10", "2024-04-11"]
    plain = json.loads(cli("forecast", "run", "--json").out)
    assert len(plain) == 8
    assert plain[0].keys() == {"series", "time", "mean", "q05", "q25", "q50", "q75", "q95"}

    written = cli("forecast", "run", cases, "--csv", "out.csv", "--plot", "out.html")
    assert "out.csv is written" in written.out
    assert pl.read_csv("out.csv").height == 8
    page = (tmp_path / "out.html").read_text("utf-8")
    assert "5 to 95 %" in page

    scores = cli("evaluate", "run", "--origins", "2")
    assert scores.out.startswith("Beside naive its CRPS is ")
    assert "| the model" in scores.out
    assert "16 values of 2 series (2 there are), from 2 origins 4 x 1 day apart" in scores.out
    plain = json.loads(cli("evaluate", "run", "--json").out)
    assert plain["paired_by"] == "origins"
    again = cli("train", "series", "--out", "run", "--resume", "--steps", "8", "-q")
    assert again.code == 0


def test_a_series_that_is_new_is_told(cli, cases):
    cli("train", "series", cases, *GIVEN, "--out", "run", *SMALL)
    table = pl.read_csv(cases).filter(pl.col("g") == "a").with_columns(g=pl.lit("c"))
    table.write_csv("new.csv")
    result = cli("forecast", "run", "new.csv")
    assert result.code == 0
    assert result.err.startswith("'c': not there in training, and scaled by what has been seen")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "FILE is missing"),
        (["{cases}"], "--target is missing"),
        (["{cases}", "--target", "y"], "--horizon is missing"),
        (["{cases}", *GIVEN[:3], "z", *GIVEN[4:]], "has no column 'z'"),
        (["{cases}", *GIVEN[:-1], "50"], "the series are too short"),
        (["none.csv", *GIVEN], "there is no file none.csv"),
        (["--out", "run", "--resume", "--hidden", "9"], "so --hidden cannot be given"),
    ],
)
def test_what_cannot_be_trained(cli, cases, arguments, says):
    given = [str(each).replace("{cases}", str(cases)) for each in arguments]
    result = cli("train", "series", *given)
    assert result.code == 2
    assert says in re.sub(r"[\s│]+", " ", result.err)


def test_what_cannot_be_forecast(cli, cases):
    cli("train", "series", cases, *GIVEN, "--out", "run", *SMALL)
    for arguments, says in (
        (["--horizon", "5"], "the model was trained for 4 steps"),
        (["--paths", "3"], "holds a direct decoder, which draws no paths: no --paths"),
        (["none.csv"], "there is no file"),
    ):
        result = cli("forecast", "run", *arguments)
        assert result.code == 2
        assert says in result.err
    assert "has no --T" in cli("evaluate", "run", "--T", "3").err
