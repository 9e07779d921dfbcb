"""How long each unit remembers, longest first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from glasscell.analysis import UnitMemory
from glasscell.errors import InputError
from glasscell.plots.palette import Theme, look
from glasscell.plots.theme import framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go


def memory_span_bars(
    units: Sequence[UnitMemory],
    *,
    gate: str = "forget_gate",
    unit: int | None = None,
    dark: bool = False,
) -> go.Figure:
    """A bar for each unit, as long as its memory in steps, on a logarithmic axis.

    Args:
        units: what `analysis.units_by_memory` found, in the order in which to draw them.
        gate: the gate that it was read from, which gives the colour.
        unit: a unit to point out.
        dark: for dark pages.

    Raises:
        InputError: a unit to point out that is not among them.

    Example:
        >>> units = analysis.units_by_memory(trace["l0"], top=5)
        >>> figure = plots.memory_span_bars(units, unit=units[2].unit)
        >>> len(figure.data[0].y)  # a bar a unit, in steps
        5
    """
    figure = memory_figure(gate, theme_of(dark))
    bars: Any = figure.data[0]
    # An infinite bar has no end to draw: it gets a little more than the longest finite one.
    longest = max((each.steps for each in units if math.isfinite(each.steps)), default=1.0)
    bars.x = [str(each.unit) for each in units]
    bars.y = [each.steps if math.isfinite(each.steps) else 2 * longest for each in units]
    bars.text = [f"{each.steps:.3g}" if math.isfinite(each.steps) else "∞" for each in units]
    if unit is not None:
        numbers = [each.unit for each in units]
        if unit not in numbers:
            raise InputError(f"unit: expected one of the {len(numbers)} that are drawn, got {unit}")
        at = numbers.index(unit)
        chosen: Any = figure.data[1]
        chosen.x, chosen.y, chosen.text = [bars.x[at]], [bars.y[at]], [bars.text[at]]
    return figure


def memory_figure(gate: str, theme: Theme) -> go.Figure:
    """The figure of `memory_span_bars` without its numbers: all units, and the one pointed out."""
    import plotly.graph_objects as go

    colour = look(gate).soft(theme)
    hover = "unit <b>%{x}</b><br>remembers for <b>%{text}</b> steps<extra></extra>"
    figure = go.Figure()
    framed(figure, theme, height=320)
    figure.add_bar(
        x=[],
        y=[],
        marker={"color": colour},
        hovertemplate=hover,
        textposition="none",
    )
    figure.add_bar(
        x=[], y=[], marker={"color": theme.accent}, hovertemplate=hover, textposition="none"
    )
    figure.update_layout(barmode="overlay", bargap=0.25, dragmode=False)
    figure.update_xaxes(type="category", title_text="unit, longest memory first", nticks=24)
    figure.update_xaxes(showgrid=False, tickangle=0)
    figure.update_yaxes(type="log", title_text="steps (log scale)", tickformat=",.2~r", nticks=6)
    return figure
