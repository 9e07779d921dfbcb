"""The gate saturation scatter of Karpathy, Johnson and Li 2015, figure 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glasscell.analysis import Saturation
from glasscell.errors import InputError
from glasscell.plots.palette import Theme, look
from glasscell.plots.theme import framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go


def saturation_scatter(
    saturation: Mapping[str, Saturation], *, unit: int | None = None, dark: bool = False
) -> go.Figure:
    """How often each unit's gates are stuck: a panel a gate, a point a unit.

    To the right, units whose gate is often shut; to the top, units whose gate is often open. On
    the diagonal a gate is always one or the other; near the origin it is hardly ever either.

    Args:
        saturation: what `analysis.saturation` found.
        unit: a unit to point out.
        dark: for dark pages.

    Raises:
        InputError: a unit that is not there.

    Example:
        >>> figure = plots.saturation_scatter(analysis.saturation(trace["l0"]), unit=3)
        >>> len(figure.data[0].x)  # a point a unit, in the first gate's panel
        8
    """
    figure = saturation_figure(tuple(saturation), theme_of(dark))
    for k, gate in enumerate(saturation.values()):
        left, right = gate.left.tolist(), gate.right.tolist()
        points: Any = figure.data[2 * k]
        points.x, points.y, points.customdata = left, right, list(range(len(left)))
        if unit is not None and not 0 <= unit < len(left):
            raise InputError(f"unit: expected 0 to {len(left) - 1}, got {unit}")
        if unit is not None:
            chosen: Any = figure.data[2 * k + 1]
            chosen.x, chosen.y, chosen.customdata = [left[unit]], [right[unit]], [unit]
    return figure


def saturation_figure(gates: Sequence[str], theme: Theme) -> go.Figure:
    """The figure of `saturation_scatter` without its numbers: for each gate all units, and then
    the one pointed out.
    """
    from plotly.subplots import make_subplots

    titles = [f"{look(gate).label} ({look(gate).letter})" for gate in gates]
    figure = make_subplots(
        cols=max(1, len(gates)), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.04
    )
    framed(figure, theme, height=380)
    for k, gate in enumerate(gates):
        column = k + 1
        colour = look(gate).colour(theme)
        hover = (
            "unit <b>%{customdata}</b><br>shut in %{x:.0%} of the steps<br>"
            "open in %{y:.0%}<extra></extra>"
        )
        marker = {"size": 8, "color": colour, "opacity": 0.55, "line": {"width": 0}}
        figure.add_scatter(
            mode="markers", marker=marker, hovertemplate=hover, x=[], y=[], col=column, row=1
        )
        ring = {
            "size": 13,
            "color": colour,
            "opacity": 1,
            "line": {"width": 2.5, "color": theme.accent},
        }
        figure.add_scatter(
            mode="markers", marker=ring, hovertemplate=hover, x=[], y=[], col=column, row=1
        )
        figure.add_shape(
            type="line",
            x0=0,
            y0=1,
            x1=1,
            y1=0,
            line={"color": theme.line, "width": 1.5},
            layer="below",
            row=1,
            col=column,
        )
        figure.layout.annotations[k].font = {"size": 13, "color": colour}
    shares = {"range": [-0.05, 1.05], "tickvals": [0, 0.5, 1], "tickformat": ".0%"}
    figure.update_xaxes(title_text="left saturated (shut, below 0.1)", **shares)
    figure.update_yaxes(**shares)
    figure.update_yaxes(title_text="right saturated (open, above 0.9)", col=1)
    figure.update_layout(margin={"t": 36, "l": 64, "b": 48}, dragmode=False)
    return figure
