"""What a score costs: a point for each of several things, with its interval and its name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from glasscell.errors import InputError
from glasscell.plots.courses import label_text
from glasscell.plots.label_places import label_offsets
from glasscell.plots.series import series_colour, series_symbol
from glasscell.plots.theme import framed, theme_of

ENOUGH, BEYOND = 5, 8  # points from which on some are left out; so many quartile ranges off
WIDTH, HEIGHT = 620, 284  # pixels between the axes on a page, by which names are placed

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
            an end that is not finite is not drawn. A score far from most is told, not drawn.
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
    for name, (cost, score, *_) in points.items():
        if not (math.isfinite(cost) and math.isfinite(score)):
            raise InputError(f"points: expected finite numbers of {name!r}, got {cost}, {score}")
    theme = theme_of(dark)
    figure = go.Figure()
    costs = [cost for cost, *_ in points.values()]
    low, high = _fence([score for _, score, *_ in points.values()])
    beyond = [name for name, (_, score, *_) in points.items() if not low <= score <= high]
    seen = [each for name, each in points.items() if name not in beyond]
    across_range = _wider(0.0 if min(costs) < max(costs) / 4 else min(costs), max(costs))
    up_range = _up_range(seen)
    for k, (name, (cost, score, low, high)) in enumerate(points.items()):
        if name in beyond:
            continue
        colour, label = series_colour(k, theme), label_text(name)
        bounded = math.isfinite(low) and math.isfinite(high)
        figure.add_scatter(
            x=[cost],
            y=[score],
            mode="markers",
            marker={"size": 10, "color": colour, "symbol": series_symbol(k)},
            error_y={
                "type": "data", "symmetric": False, "visible": bounded,
                "array": [high - score], "arrayminus": [score - low], "color": colour,
                "thickness": 1.5, "width": 4,
            } if bounded else None,
            hovertemplate=f"{label}<br><b>%{{y:.4g}}</b> at %{{x:,.3s}}<extra></extra>",
        )  # fmt: skip
    places = [
        (_share(cost, across_range) * WIDTH, (1 - _share(score, up_range)) * HEIGHT)
        for cost, score, *_ in seen
    ]
    names = [name for name in points if name not in beyond]
    offsets = label_offsets(places, names, WIDTH, HEIGHT)
    for (cost, score, *_), name, (dx, dy) in zip(seen, names, offsets, strict=True):
        figure.add_annotation(
            x=cost, y=score, text=label_text(name), ax=dx, ay=dy, showarrow=True, arrowhead=0,
            arrowwidth=0.5, arrowcolor=theme.muted, standoff=5,
            font={"size": 12, "color": theme.ink},
        )  # fmt: skip
    framed(figure, theme, height=HEIGHT + 76)
    if beyond:
        told = ", ".join(f"{label_text(name)} at {points[name][1]:,.4g}" for name in beyond)
        figure.add_annotation(
            x=1, y=1, xref="paper", yref="paper", xanchor="right", yanchor="top", showarrow=False,
            text=f"beyond the figure: {told}", font={"size": 12, "color": theme.muted},
        )  # fmt: skip
    figure.update_layout(margin={"l": 64, "b": 48}, hovermode="closest")
    figure.update_xaxes(title_text=across, tickformat="~s", range=across_range)
    figure.update_yaxes(title_text=up, range=up_range)
    return figure


def _fence(scores: list[float]) -> tuple[float, float]:
    """Between what scores are drawn: one that ran away would press all others onto a line."""
    lower, middle, upper = np.quantile(scores, (0.25, 0.5, 0.75))
    reach = BEYOND * max(upper - lower, 1e-3 * abs(middle))
    if len(scores) < ENOUGH or not reach:
        return -math.inf, math.inf
    return float(middle - reach), float(middle + reach)


def _up_range(seen: list[tuple[float, float, float, float]]) -> tuple[float, float]:
    """What of the scores' axis is shown: all scores, and intervals unless they reach far out."""
    scores = [score for _, score, *_ in seen]
    span = max(scores) - min(scores)
    ends = [v for _, _, *both in seen for v in both if math.isfinite(v)]
    if span:
        ends = [v for v in ends if min(scores) - span / 3 <= v <= max(scores) + span / 3]
    return _wider(min(ends + scores), max(ends + scores))


def _wider(low: float, high: float) -> tuple[float, float]:
    """The range of an axis, with room around what is drawn."""
    room = 0.08 * (high - low) or 0.08 * abs(high) or 1.0
    return (low and low - room), high + room


def _share(value: float, ends: tuple[float, float]) -> float:
    return (value - ends[0]) / (ends[1] - ends[0])
