"""How several things learn: a thin line for each training, a thick one for their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glasscell.errors import InputError
from glasscell.plots.courses import label_text
from glasscell.plots.series import series_colour, series_dash
from glasscell.plots.theme import framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

Curve = tuple[Sequence[float], Sequence[float]]
POINTS = 50  # of a mean curve
EDGE = 0.06  # of the scores shown, left free above and below


def learning_curves(
    curves: Mapping[str, Sequence[Curve]], *, across: str, up: str, dark: bool = False
) -> go.Figure:
    """Scores on the way, for several trainings of each of several things.

    Args:
        curves: what each is called, and its trainings: where it was measured (time, or updates,
            rising), and the score there.
        across, up: what the axes are, with their units.
        dark: for dark pages.

    Raises:
        InputError: nothing to draw, or a curve with more places than scores or the reverse.

    Example:
        >>> curves = {"lstm": [([1, 2], [3.0, 2.5]), ([1, 2], [3.1, 2.4])]}
        >>> figure = plots.learning_curves(curves, across="seconds", up="bits a character")
    """
    import plotly.graph_objects as go

    if not any(curves.values()):
        raise InputError("curves: expected at least one, got none")
    for name, each in curves.items():
        for x, y in each:
            if len(x) != len(y) or not len(x):
                raise InputError(
                    f"curves: expected a score for each place in {name!r}, got {len(x)} places "
                    f"and {len(y)} scores"
                )
    theme = theme_of(dark)
    figure = go.Figure()
    for k, (name, each) in enumerate(curves.items()):
        colour, label = series_colour(k, theme), label_text(name)
        for number, (x, y) in enumerate(each):
            figure.add_scatter(
                x=list(x), y=list(y), mode="lines", opacity=0.35, showlegend=False,
                legendgroup=name, line={"color": colour, "width": 1},
                hovertemplate=f"{label}, no. {number}<br><b>%{{y:.4g}}</b> at %{{x:.3g}}"
                "<extra></extra>",
            )  # fmt: skip
        if not each:
            continue
        x, y = _mean(each)
        figure.add_scatter(
            x=x, y=y, mode="lines", name=label, legendgroup=name,
            line={"color": colour, "width": 2.5, "dash": series_dash(k)},
            hovertemplate=f"{label}, mean<br><b>%{{y:.4g}}</b> at %{{x:.3g}}<extra></extra>",
        )  # fmt: skip
    framed(figure, theme, height=380)
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemwidth": 40}
    legend |= {"font": {"size": 12, "color": theme.ink}}
    figure.update_layout(showlegend=True, legend=legend, margin={"t": 64, "l": 64, "b": 48})
    figure.update_xaxes(title_text=across)
    figure.update_yaxes(title_text=up, range=_room(figure, curves))
    return figure


def _room(figure: Any, curves: Mapping[str, Sequence[Curve]]) -> list[float] | None:
    """From the least to the greatest of all means and of where each training ended: one that
    leapt on its way, as some do, shall not press all others together."""
    shown = [float(y[-1]) for each in curves.values() for _, y in each]
    shown += [y for trace in figure.data if trace.name for y in trace.y]
    low, high = min(shown), max(shown)
    if not low < high:
        return None
    return [low - EDGE * (high - low), high + EDGE * (high - low)]


def _mean(curves: Sequence[Curve]) -> tuple[list[float], list[float]]:
    """The mean of several curves where all of them are, between their points along straight
    lines."""
    first = max(float(x[0]) for x, _ in curves)
    last = min(float(x[-1]) for x, _ in curves)
    if last < first:  # one ended before another was measured
        return [], []
    places = np.linspace(first, last, POINTS if last > first else 1)
    values = np.mean([np.interp(places, x, y) for x, y in curves], axis=0)
    return places.tolist(), values.tolist()
