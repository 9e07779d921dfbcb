"""Several courses side by side: a line for each, over places that have names or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from glasscell.errors import InputError
from glasscell.plots.series import series_colour, series_dash
from glasscell.plots.theme import framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go


def courses(
    lines: Mapping[str, Sequence[float]],
    places: Sequence[str] | Sequence[float],
    *,
    across: str,
    up: str,
    level: tuple[float, str] | None = None,
    logarithmic: bool = False,
    dark: bool = False,
) -> go.Figure:
    """A line for each of several things, with a mark at each place.

    Args:
        lines: what each is called, and its values; NaN leaves a gap.
        places: where they were measured: words, evenly spaced, or numbers.
        across, up: what the axes are, with their units.
        level: a level to compare with, and what it is called.
        logarithmic: whether the places, numbers then, are on a logarithmic axis.
        dark: for dark pages.

    Raises:
        InputError: no line, or one with another number of values than places.

    Example:
        >>> shares = {"LSTM": [0.9, 0.8], "RNN": [0.9, 0.3]}
        >>> figure = plots.courses(shares, [50, 100], across="steps", up="share right")
    """
    import plotly.graph_objects as go

    if not lines:
        raise InputError("lines: expected at least one, got none")
    for name, values in lines.items():
        if len(values) != len(places):
            raise InputError(
                f"lines: expected {len(places)} values, one a place, in {name!r}, got {len(values)}"
            )
    theme = theme_of(dark)
    figure = go.Figure()
    named = any(isinstance(place, str) for place in places)
    x = list(range(len(places))) if named else list(places)
    for k, (name, values) in enumerate(lines.items()):
        colour = series_colour(k, theme)
        figure.add_scatter(
            x=x,
            y=list(values),
            name=label_text(name),
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": series_dash(k)},
            marker={"size": 7, "color": colour},
            text=[label_text(str(place)) for place in places],
            hovertemplate=f"{label_text(name)}<br>%{{text}}: <b>%{{y:.3g}}</b><extra></extra>",
        )
    framed(figure, theme, height=340)
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemwidth": 40}
    legend |= {"font": {"size": 12, "color": theme.ink}}
    figure.update_layout(showlegend=True, legend=legend, margin={"t": 64, "l": 64, "b": 48})
    figure.update_xaxes(title_text=across, showgrid=False, tickvals=x, tickangle=0)
    figure.update_xaxes(ticktext=[label_text(str(place)) for place in places])
    if logarithmic and not named:
        figure.update_xaxes(type="log")
    figure.update_yaxes(title_text=up)
    if level is not None:
        at, says = level
        figure.add_hline(y=at, line={"color": theme.muted, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=1, xref="paper", y=at, yanchor="bottom", xanchor="right", showarrow=False,
            text=label_text(says), font={"size": 11, "color": theme.muted},
        )  # fmt: skip
    return figure


def label_text(text: str) -> str:
    """A text for a figure, which would take "<b>" for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
