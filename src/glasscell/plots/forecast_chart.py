"""Forecasts after what has been: each series with its intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glasscell.errors import InputError
from glasscell.plots.courses import label_text
from glasscell.plots.series import series_colour
from glasscell.plots.theme import framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

BANDS = ((0.05, 0.95), (0.25, 0.75))
HISTORY = 4  # horizons of what has been that are shown


def forecast_chart(
    forecast: Any,
    series: str | None = None,
    *,
    up: str = "",
    history: int | None = None,
    bands: Sequence[tuple[float, float]] = BANDS,
    dark: bool = False,
) -> go.Figure:
    """What has been of a series, and what is expected: the median, in bands of odds.

    Args:
        forecast: as `tasks.series.forecast` gives it.
        series: by its name; with several and none named, a menu chooses among the first 50.
        up: what the values are.
        history: steps shown of what has been; four horizons by default.
        bands: pairs of levels, the widest first.
        dark: for dark pages.

    Raises:
        InputError: no such series.

    Example:
        >>> import polars as pl
        >>> weeks = pl.DataFrame({"y": [float(k % 7) for k in range(70)]})
        >>> run = glasscell.train_series(weeks, target="y", horizon=5, steps=2, progress=False)
        >>> figure = plots.forecast_chart(run.predict(), up="y")
    """
    import plotly.graph_objects as go

    names = forecast.names
    if series is not None and series not in names:
        raise InputError(f"series: expected one of {', '.join(names[:10])}, got {series!r}")
    theme = theme_of(dark)
    shown = [names.index(series)] if series is not None else list(range(min(len(names), 50)))
    figure: Any = go.Figure()
    for s in shown:
        for trace in _traces(forecast, s, history or HISTORY * forecast.horizon, bands, theme):
            figure.add_trace(trace.update(visible=s == shown[0]))
    framed(figure, theme, height=380)
    legend = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(
        margin={"l": 64, "b": 40, "t": 48}, hovermode="x unified", showlegend=True, legend=legend
    )
    figure.update_yaxes(title_text=up)
    if len(shown) > 1:
        each = len(figure.data) // len(shown)
        buttons = [
            {
                "label": label_text(names[s]),
                "method": "update",
                "args": [{"visible": [k // each == place for k in range(len(figure.data))]}],
            }
            for place, s in enumerate(shown)
        ]
        figure.update_layout(
            updatemenus=[{"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02,
                          "yanchor": "bottom"}]
        )  # fmt: skip
    return figure


def _traces(forecast: Any, s: int, history: int, bands: Any, theme: Any) -> list[Any]:
    import plotly.graph_objects as go

    panel = forecast.panel
    rows = panel.history(s)
    until = int(forecast.times[s, 0] - panel.first[s])  # rows that were looked at
    past = slice(max(rows.start, rows.start + until - history), rows.stop)
    places = panel.first[s] + np.arange(past.start - rows.start, past.stop - rows.start)
    ahead = panel.times(forecast.times[s]).to_list()
    found = []
    for k, (low, high) in enumerate(bands):
        lower, upper = (forecast.level(level)[s] for level in (low, high))
        found.append(
            go.Scatter(
                x=[*ahead, *reversed(ahead)], y=[*upper, *reversed(lower)], fill="toself",
                fillcolor=_tint(theme, 0.18 + 0.14 * k), line={"width": 0}, hoverinfo="skip",
                name=f"{100 * low:.0f} to {100 * high:.0f} %",
            )
        )  # fmt: skip
    found.append(
        go.Scatter(
            x=panel.times(places).to_list(), y=panel.target[past], mode="lines", name="seen",
            line={"color": theme.ink, "width": 1.5}, connectgaps=False,
            hovertemplate="%{y:.4g}<extra>seen</extra>",
        )
    )  # fmt: skip
    found.append(
        go.Scatter(
            x=ahead, y=forecast.level(0.5)[s], mode="lines", name="median",
            line={"color": _tint(theme, 1.0), "width": 2},
            hovertemplate="%{y:.4g}<extra>median</extra>",
        )
    )  # fmt: skip
    return found


def _tint(theme: Any, alpha: float) -> str:
    colour = series_colour(0, theme).lstrip("#")
    r, g, b = (int(colour[k : k + 2], 16) for k in (0, 2, 4))
    return f"rgba({r}, {g}, {b}, {alpha:.2f})"
