"""One series: read from CSV, split by time, scaled, and scored against the naive forecast."""

import numpy as np
import pytest
import torch
from torch import nn

from glasscell.errors import InputError, UserError
from glasscell.tasks.series_steps import Series, SeriesModel, read_series, windows


def wave(N=1000):
    t = torch.arange(N)
    return (t / 9).sin() * 3 + 7 + 0.2 * torch.randn(N, generator=torch.Generator().manual_seed(1))


class Saying(nn.Module):
    """Forecasts by a function of the last value."""

    def __init__(self, says):
        super().__init__()
        self.says = says

    def forward(self, x, state=None):
        return self.says(x), None


def test_parts_and_scaling():
    values = wave()
    series = Series.of(values)
    assert (series.train, series.validation) == (800, 900)
    own = series.values[:800].double()
    assert float(own.mean()) == pytest.approx(0, abs=1e-6)
    assert float(own.std()) == pytest.approx(1, abs=1e-6)
    assert series.naive == pytest.approx(np.abs(np.diff(own.numpy())).mean(), rel=1e-5)


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("N", [137, 1000, 30_011])
def test_the_naive_forecast_gets_the_naive_error(part, N):
    series = Series.of(wave(N))
    by_model = series.scaled_error(Saying(lambda x: x), part)
    assert by_model == pytest.approx(series.naive_error(part), rel=1e-5)


def test_the_scaled_error_by_hand():
    """Hyndman and Koehler 2006: errors over the mean absolute step of the training part; the
    standardisation cancels."""
    values = wave(500).double().numpy()
    series = Series.of(torch.tensor(values))
    naive = np.abs(np.diff(values[:400])).mean()
    said = np.abs(values[449:499] * 0.5 - values[450:500]).mean() / naive
    mean, deviation = values[:400].mean(), values[:400].std(ddof=1)
    half = Saying(lambda x: (0.5 * (x * deviation + mean) - mean) / deviation)
    assert series.scaled_error(half, "test") == pytest.approx(said, rel=1e-4)


def test_stretches_give_what_one_pass_gives():
    """Side by side after a warm-up, and straight through: the same for a state that forgets."""
    torch.manual_seed(0)
    model = SeriesModel("gru", 6).eval()
    series = Series.of(wave(20_000))
    with torch.no_grad():
        forecast = model(series.values[:-1, None, None])[0].squeeze()
    errors = (forecast - series.values[1:]).abs()[series.validation - 1 :]
    expected = float(errors.double().mean()) / series.naive
    assert series.scaled_error(model, "test") == pytest.approx(expected, rel=1e-3)


def test_a_model_begins_near_the_naive_forecast_and_learns_a_wave():
    torch.manual_seed(0)
    series = Series.of(wave())
    model = SeriesModel("gru", 8)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    generator = torch.Generator().manual_seed(0)
    before = series.scaled_error(model, "test")
    for _ in range(150):
        inputs, targets = windows(series.values[: series.train], 32, 16, generator)
        loss = (model(inputs)[0] - targets).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert series.scaled_error(model.eval(), "test") < 0.85 * min(before, 1.0)


def test_windows_are_stretches():
    values = torch.arange(50.0)
    inputs, targets = windows(values, 7, 5, torch.Generator().manual_seed(0))
    assert inputs.shape == targets.shape == (7, 5, 1)
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(inputs[1:], inputs[:-1] + 1)
    short, _ = windows(values[:4], 7, 2, torch.Generator())
    assert short.shape == (3, 2, 1)
    ends = windows(values, 49, 20, torch.Generator())[1]
    assert float(ends.max()) == 49
    with pytest.raises(InputError, match="at least 2"):
        windows(values[:1], 7, 1, torch.Generator())


def csv(path, head, rows):
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def test_reading(tmp_path):
    values = wave(200)
    rows = [f"2020-01-01 {k // 60:02}:{k % 60:02}:00,a,{v:.6f}" for k, v in enumerate(values)]
    path = csv(tmp_path / "load.csv", "when,kind,demand", rows)
    series = read_series(path, time="when")
    assert series.name == "demand"
    assert torch.allclose(series.values, Series.of(values).values, atol=1e-4)
    assert torch.equal(read_series(path, "demand").values, series.values)


@pytest.mark.parametrize(
    ("rows", "options", "parts"),
    [
        ({}, {"target": "demnad"}, ["target: ", "no column 'demnad'", "demand"]),
        ({}, {"time": "hour"}, ["time: ", "no column 'hour'"]),
        ({5: "5,"}, {}, ["demand: expected a number in row 6, got nothing"]),
        ({5: "5,low"}, {"target": "demand"}, ["expected a number in row 6, got 'low'"]),
        ({5: "5,low"}, {"time": "t"}, ["say which column", "none"]),
        ({5: "5,nan"}, {"target": "demand"}, ["expected numbers, got nan in row 6"]),
        ({5: "5,inf"}, {"target": "demand"}, ["got inf in row 6"]),
        ({5: "4,1.0"}, {"time": "t", "target": "demand"}, ["row 6 (4) is not later than row 5"]),
        ({5: ",1.0"}, {"time": "t", "target": "demand"}, ["expected a time in row 6"]),
        ({}, {}, ["say which column", "those with numbers: t, demand"]),
    ],
)  # fmt: skip
def test_what_cannot_be_used(tmp_path, rows, options, parts):
    lines = [rows.get(k, f"{k},{k % 7}.5") for k in range(120)]
    path = csv(tmp_path / "load.csv", "t,demand", lines)
    options = {"target": "demand"} | options if rows and "time" not in options else options
    with pytest.raises(UserError) as error:
        read_series(path, **options)
    assert all(part in str(error.value) for part in parts), error.value


def test_too_short_constant_and_no_csv(tmp_path):
    with pytest.raises(UserError, match="at least 100 rows, got 99"):
        Series.of(wave(99))
    with pytest.raises(UserError, match="never changes"):
        Series.of(torch.ones(200))
    path = tmp_path / "empty.csv"
    path.write_bytes(b"")
    with pytest.raises(UserError, match="cannot be read as CSV"):
        read_series(path)
    path.write_bytes(b"a,b\n1,2,3\n4\n")
    with pytest.raises(UserError, match="cannot be read as CSV"):
        read_series(path)
    with pytest.raises(OSError, match=r"none\.csv"):
        read_series(tmp_path / "none.csv")
