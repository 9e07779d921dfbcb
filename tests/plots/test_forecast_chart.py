"""A forecast after what has been: the numbers drawn are those of the forecast."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from glasscell import plots
from glasscell.errors import InputError
from glasscell.tasks.series.columns import Columns
from glasscell.tasks.series.distributions import LEVELS
from glasscell.tasks.series.forecast import Forecast
from glasscell.tasks.series.panel import panel_of
from glasscell.tasks.series.table import read_table

T, HORIZON = 30, 4


@pytest.fixture
def forecast() -> Forecast:
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, T), "1d", eager=True)
    table = pl.concat(
        pl.DataFrame({"day": days, "g": [name] * T, "y": np.arange(T) + 100.0 * k})
        for k, name in enumerate(("a", "b"))
    )
    panel = panel_of(read_table(table, Columns.of("y", "day", group="g")))
    quantiles = np.arange(2 * HORIZON * len(LEVELS), dtype=float).reshape(2, HORIZON, -1)
    times = (panel.first + T)[:, None] + np.arange(HORIZON)
    return Forecast(panel.names, times, quantiles[..., 9], quantiles, LEVELS, None, panel)


@pytest.mark.parametrize("dark", [False, True])
def test_what_is_drawn(forecast, dark):
    figure: Any = plots.forecast_chart(forecast, "b", up="cases", history=10, dark=dark)
    wide, narrow, seen, median = figure.data
    assert (wide.name, narrow.name) == ("5 to 95 %", "25 to 75 %")
    assert list(seen.y) == [120.0 + k for k in range(10)]
    assert seen.x[-1].isoformat() == "2024-01-30"
    assert list(median.y) == forecast.quantiles[1, :, 9].tolist()
    assert median.x[0].isoformat() == "2024-01-31"
    upper, lower = forecast.quantiles[1, :, -1], forecast.quantiles[1, :, 0]
    assert list(wide.y) == [*upper, *reversed(lower)]
    assert figure.layout.yaxis.title.text == "cases"


def test_a_menu_chooses_among_several(forecast):
    figure: Any = plots.forecast_chart(forecast)
    assert [trace.visible for trace in figure.data] == [True] * 4 + [False] * 4
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == ["a", "b"]
    assert menu.buttons[1].args[0]["visible"] == [False] * 4 + [True] * 4
    with pytest.raises(InputError, match="series: expected one of a, b, got 'c'"):
        plots.forecast_chart(forecast, "c")


def test_the_frame_has_the_same_numbers(forecast):
    frame = forecast.frame((0.05, 0.5, 0.625))
    assert frame.columns == ["series", "time", "mean", "q05", "q50", "q62"]
    assert frame["q50"].to_list() == forecast.quantiles[..., 9].ravel().tolist()
    between = (forecast.quantiles[..., 11] + forecast.quantiles[..., 12]) / 2
    np.testing.assert_allclose(frame["q62"], between.ravel())
    alone = replace(forecast, names=("",))
    assert "series" not in replace(alone, times=forecast.times[:1], mean=forecast.mean[:1],
                                   quantiles=forecast.quantiles[:1]).frame().columns  # fmt: skip
