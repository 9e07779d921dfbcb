"""The frame that all figures share: type, margins, axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glasscell.plots.palette import DARK, LIGHT, Theme

if TYPE_CHECKING:
    import plotly.graph_objects as go

FONT = '"Inter", "Segoe UI", "Helvetica Neue", Arial, sans-serif'
MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace'


def theme_of(dark: bool) -> Theme:
    return DARK if dark else LIGHT


def framed(figure: go.Figure, theme: Theme, *, height: int, title: str = "") -> go.Figure:
    """Gives a figure the project's frame."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 16, "t": 44 if title else 12, "b": 40},
        paper_bgcolor=theme.surface,
        plot_bgcolor=theme.surface,
        font={"family": FONT, "size": 12, "color": theme.muted},
        hoverlabel={
            "bgcolor": theme.ink,
            "bordercolor": theme.ink,
            "font": {"family": FONT, "size": 12, "color": theme.surface},
            "align": "left",
        },
        showlegend=False,
        dragmode="zoom",
    )
    if title:
        figure.update_layout(
            title={
                "text": title,
                "font": {"size": 15, "color": theme.ink},
                "x": 0,
                "xref": "container",
                "pad": {"l": 16},
            }
        )
    figure.update_xaxes(**axis(theme))
    figure.update_yaxes(**axis(theme))
    return figure


def axis(theme: Theme) -> dict:
    """How every axis looks."""
    return {
        "gridcolor": theme.line,
        "linecolor": theme.line,
        "tickcolor": theme.line,
        "tickfont": {"size": 11, "color": theme.muted},
        "title": {"font": {"size": 12, "color": theme.muted}, "standoff": 8},
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
    }


def colour_bar(theme: Theme, ticks: Sequence[float], labels: Sequence[str]) -> dict:
    """A slim colour bar with labelled ends."""
    return {
        "thickness": 8,
        "len": 1,
        "outlinewidth": 0,
        "tickvals": list(ticks),
        "ticktext": list(labels),
        "tickfont": {"size": 11, "color": theme.muted},
        "ticks": "",
        "xpad": 8,
    }
