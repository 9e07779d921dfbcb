"""Scores of several things, each measured several times: a dot for each, an interval for all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from glasscell.errors import InputError
from glasscell.plots.courses import label_text
from glasscell.plots.series import series_colour
from glasscell.plots.theme import framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROW = 44  # px
SPREAD = 0.16  # of a row, between the first seed's dot and the last's


def seed_scores(
    scores: Mapping[str, Sequence[float]],
    *,
    intervals: Mapping[str, tuple[float, float]] | None = None,
    across: str,
    levels: Mapping[str, float] | None = None,
    dark: bool = False,
) -> go.Figure:
    """A row for each of several things, with its scores as dots and their mean's interval.

    Args:
        scores: what each is called, and its scores, in the order of their seeds.
        intervals: low and high of the mean, by name; none for those left out.
        across: what the scores are, with their unit.
        levels: scores to compare with, by name; those far away from all others are left out.
        dark: for dark pages.

    Raises:
        InputError: nothing to draw, or a score that is not finite.

    Example:
        >>> scores = {"lstm": [1.91, 1.93, 1.90], "rnn": [2.10, 2.15, 2.12]}
        >>> figure = plots.seed_scores(scores, across="bits a character")
    """
    import plotly.graph_objects as go

    if not any(scores.values()):
        raise InputError("scores: expected at least one, got none")
    for name, values in scores.items():
        if not all(map(math.isfinite, values)):
            raise InputError(f"scores: expected finite numbers of {name!r}, got {list(values)}")
    theme = theme_of(dark)
    figure = go.Figure()
    names = list(scores)
    for row, (name, values) in enumerate(scores.items()):
        colour = series_colour(row, theme)
        if intervals and name in intervals and all(map(math.isfinite, intervals[name])):
            low, high = intervals[name]
            figure.add_scatter(
                x=[low, high],
                y=[row, row],
                mode="lines",
                line={"color": colour, "width": 12},
                opacity=0.25,
                hovertemplate=f"{label_text(name)}<br>mean between {low:.4g} and {high:.4g}"
                "<extra></extra>",
            )
        if values:
            mean = math.fsum(values) / len(values)
            figure.add_scatter(
                x=[mean],
                y=[row],
                mode="markers",
                marker={"symbol": "line-ns", "size": 22, "line": {"color": colour, "width": 3}},
                hovertemplate=f"{label_text(name)}<br>mean <b>%{{x:.4g}}</b><extra></extra>",
            )
        n = len(values)
        figure.add_scatter(
            x=list(values),
            y=[row + SPREAD * (2 * k / (n - 1) - 1 if n > 1 else 0) for k in range(n)],
            mode="markers",
            marker={"size": 8, "color": colour, "line": {"color": theme.surface, "width": 1}},
            customdata=list(range(n)),
            hovertemplate=f"{label_text(name)}, no. %{{customdata}}<br><b>%{{x:.4g}}</b>"
            "<extra></extra>",
        )
    framed(figure, theme, height=84 + ROW * len(names))
    figure.update_layout(margin={"l": 12, "t": 26, "b": 44}, hovermode="closest")
    figure.update_xaxes(title_text=across)
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[label_text(name) for name in names],
        tickfont={"size": 12, "color": theme.ink},
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        automargin=True,
    )
    _draw_levels(figure, scores, levels or {}, theme.muted)
    return figure


def _draw_levels(
    figure: go.Figure,
    scores: Mapping[str, Sequence[float]],
    levels: Mapping[str, float],
    colour: str,
) -> None:
    values = [value for each in scores.values() for value in each]
    low, high = min(values), max(values)
    room = max(high - low, 1e-12)
    for name, value in levels.items():
        if not low - room / 2 <= value <= high + room / 2:
            continue  # it would press everything else together
        figure.add_vline(x=value, line={"color": colour, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=value, y=1, yref="paper", yanchor="bottom", showarrow=False,
            xanchor="right" if value > (low + high) / 2 else "left",
            text=f"{label_text(name)}: {value:.4g}", font={"size": 11, "color": colour},
        )  # fmt: skip
