"""What a score costs: a point for each of several things, with its interval and its name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from glasscell.errors import InputError
from glasscell.plots.courses import label_text
from glasscell.plots.series import series_colour
from glasscell.plots.theme import framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go


def cost_scores(
    points: Mapping[str, tuple[float, float, float, float]],
    *,
    across: str,
    up: str,
    dark: bool = False,
) -> go.Figure:
    """Cost across, score up.

    Args:
        points: what each is called: its cost, its score, and the score's interval, low and high;
            an end that is not finite is not drawn.
        across, up: what the axes are, with their units.
        dark: for dark pages.

    Raises:
        InputError: nothing to draw.

    Example:
        >>> points = {"lstm": (90e3, 1.92, 1.90, 1.94), "rnn": (210e3, 2.12, 2.08, 2.16)}
        >>> figure = plots.cost_scores(points, across="tokens a second", up="bits a character")
    """
    import plotly.graph_objects as go

    if not points:
        raise InputError("points: expected at least one, got none")
    theme = theme_of(dark)
    figure = go.Figure()
    costs = [cost for cost, *_ in points.values()]
    middle = (min(costs) + max(costs)) / 2
    for k, (name, (cost, score, low, high)) in enumerate(points.items()):
        colour, label = series_colour(k, theme), label_text(name)
        bounded = math.isfinite(low) and math.isfinite(high)
        figure.add_scatter(
            x=[cost],
            y=[score],
            mode="markers+text",
            text=[label],
            textposition="middle right" if cost <= middle else "middle left",
            textfont={"size": 12, "color": theme.ink},
            marker={"size": 10, "color": colour},
            error_y={
                "type": "data", "symmetric": False, "visible": bounded,
                "array": [high - score], "arrayminus": [score - low], "color": colour,
                "thickness": 1.5, "width": 4,
            } if bounded else None,
            hovertemplate=f"{label}<br><b>%{{y:.4g}}</b> at %{{x:,.3s}}<extra></extra>",
        )  # fmt: skip
    framed(figure, theme, height=360)
    figure.update_layout(margin={"l": 64, "b": 48}, hovermode="closest")
    # From 0, where that does not press all points into one half.
    far = min(costs) > max(costs) / 2
    figure.update_xaxes(title_text=across, tickformat="~s", rangemode="normal" if far else "tozero")
    figure.update_yaxes(title_text=up)
    return figure
