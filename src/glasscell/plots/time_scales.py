"""How the time scales of a layer's units are spread, by their gates and as measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glasscell.analysis import TimeScales
from glasscell.plots.palette import Theme, look
from glasscell.plots.theme import framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

SHORTEST = 0.1  # steps; whatever is shorter is drawn here


def time_scales(scales: TimeScales, *, dark: bool = False) -> go.Figure:
    """A point a unit, the longest memory first; steps until 1/e is left, on a logarithmic axis.

    Round points are what the keeping gate says, diamonds what kicks showed: where a diamond is
    higher, the recurrent weights keep up what the gate alone would lose. Memories that are longer
    than was measured are open, on the line at the window's end; those without end, at the top.

    Args:
        scales: what `analysis.time_scales` found.
        dark: for dark pages.

    Example:
        >>> figure = plots.time_scales(analysis.time_scales(trace["l0"]))
    """
    import plotly.graph_objects as go

    theme = theme_of(dark)
    figure = go.Figure()
    framed(figure, theme, height=360)
    # Measured times end at the window; others may have no end, and get a place above the rest.
    ends = [] if scales.window is None else [float(scales.window)]
    for values in (scales.gates, scales.measured):
        ends += [] if values is None else values[values.isfinite()].tolist()
    top = 2 * max(ends, default=1.0)
    window = top if scales.window is None else scales.window
    series = [
        ("by the gates", scales.gates, "circle", look("forget_gate").colour(theme), top),
        ("measured with kicks", scales.measured, "diamond", look("cell").colour(theme), window),
    ]
    units = scales.units.cpu().numpy()
    for name, values, symbol, colour, beyond in series:
        if values is None:
            continue
        steps = values.cpu().numpy()
        finite = np.isfinite(steps)
        more = f"more than {beyond:g}" if beyond == scales.window else "∞"
        figure.add_scatter(
            x=np.arange(len(units)),
            y=np.where(finite, np.maximum(steps, SHORTEST), beyond),
            mode="markers",
            marker={
                "size": 7 if len(units) <= 64 else 5,
                "color": colour,
                "symbol": np.where(finite, symbol, f"{symbol}-open"),
                "opacity": 0.85,
            },
            name=name,
            text=[str(unit) for unit in units],
            customdata=[f"{v:.3g}" if ok else more for v, ok in zip(steps, finite, strict=True)],
            hovertemplate=f"unit <b>%{{text}}</b><br><b>%{{customdata}}</b> steps, {name}"
            "<extra></extra>",
        )
    if scales.window is not None:
        _mark_window(figure, theme, scales.window, len(units))
    every = max(1, -(-len(units) // 32))
    figure.update_xaxes(
        title_text="unit, longest memory first",
        tickvals=np.arange(len(units))[::every],
        ticktext=[str(unit) for unit in units[::every]],
        range=[-0.5, len(units) - 0.5],
        showgrid=False,
        tickangle=0,
    )
    figure.update_yaxes(
        type="log", title_text="steps until 1/e is left (log scale)", tickformat=",.2~r", nticks=6
    )
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        margin={"t": 40, "b": 48, "l": 64},
    )
    return figure


def _mark_window(figure: go.Figure, theme: Theme, window: int, units: int) -> None:
    figure.add_scatter(
        x=[-0.5, units - 0.5],
        y=[window, window],
        mode="lines+text",
        line={"color": theme.muted, "width": 1, "dash": "dot"},
        text=["", f"measured up to {window} steps"],
        textposition="top left",
        textfont={"size": 11, "color": theme.muted},
        hoverinfo="skip",
        showlegend=False,
    )
