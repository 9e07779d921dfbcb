"""What is left of a kick to each unit, as the page carries it."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from glasscell.analysis import KickSurvival
from glasscell.plots.palette import Theme, look
from glasscell.plots.report.numbers import encoded
from glasscell.plots.theme import framed


def kick_content(kicks: KickSurvival) -> dict[str, Any]:
    """The curves of each kicked unit, and when each is down to 1/e.

    Returns:
        `own`, `whole`, `carousel` (absent for an RNN): U*(K+1) floats, unit by unit; `spans`: (U,)
        steps, null for a memory that is longer than the window.
    """
    curves = {"own": kicks.own, "whole": kicks.whole, "carousel": kicks.carousel}
    spans = kicks.steps().tolist()
    return {
        "units": kicks.units.tolist(),
        "window": kicks.window,
        "times": kicks.times,
        "spans": [span if math.isfinite(span) else None for span in spans],
        **{
            name: encoded(curve.T.cpu().numpy(), "<f4")
            for name, curve in curves.items()
            if curve is not None
        },
    }


@cache
def kick_figure(state: str, keeper: str | None, theme: Theme) -> Any:
    """One unit's curves without their numbers.

    Args:
        state: that was kicked, "cell" or "hidden".
        keeper: the gate in whose colour is shown what stays of it, if anything does.
    """
    import plotly.graph_objects as go

    lines = [
        ("own", "in the unit itself, measured", look(state).colour(theme), 3.0, "solid"),
        ("whole", "in the whole state, measured", theme.muted, 1.6, "solid"),
    ]
    if keeper is not None:
        colour = look(keeper).colour(theme)
        lines.append(("carousel", "what its gate alone would leave", colour, 1.8, "dot"))
    figure = go.Figure()
    framed(figure, theme, height=320)
    for name, label, colour, width, dash in lines:
        figure.add_scatter(
            x=[],
            y=[],
            mode="lines",
            name=label,
            meta=name,
            line={"color": colour, "width": width, "dash": dash},
            hovertemplate=f"{label}<br><b>%{{y:.1%}}</b> left after %{{x}} steps<extra></extra>",
        )
    figure.add_hline(
        y=1 / math.e,
        line={"color": theme.muted, "width": 1, "dash": "dash"},
        layer="below",
        annotation={
            "text": "37 %",
            "font": {"size": 11, "color": theme.muted},
            "showarrow": False,
        },
    )
    figure.update_xaxes(title_text="steps since the kick", rangemode="tozero")
    figure.update_yaxes(title_text="left of the kick", tickformat=".0%", rangemode="tozero")
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        margin={"t": 40, "l": 60, "b": 44},
        dragmode=False,
    )
    return figure
