"""Heat maps of a layer over time: units by steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glasscell.errors import InputError
from glasscell.plots.palette import UNBOUNDED_TICKS, Theme, gate_scale, look, signed_scale
from glasscell.plots.theme import colour_bar, framed, theme_of
from glasscell.plots.token_text import labels
from glasscell.tracing import LayerTrace

if TYPE_CHECKING:
    import plotly.graph_objects as go

READABLE_STEPS = 90  # up to so many, each step has its token on the axis


def is_gate(layer: LayerTrace, quantity: str) -> bool:
    """Whether a quantity opens and shuts between 0 and 1, rather than being signed."""
    opening = {gate.name for gate in layer.gate_maps if gate.opens}
    return quantity in opening or (
        quantity in layer.definition.carried and quantity.removeprefix("previous_") in opening
    )


def letter_of(layer: LayerTrace, quantity: str) -> str:
    """The letter of a quantity in the equations of this layer's cell."""
    letters = {gate.name: gate.letter for gate in layer.gate_maps}
    return letters.get(quantity, look(quantity).letter)


def gate_heatmap(
    layer: LayerTrace,
    quantity: str,
    *,
    tokens: Sequence[str] | None = None,
    units: Sequence[int] | None = None,
    b: int = 0,
    dark: bool = False,
) -> go.Figure:
    """One quantity of a layer over time: a row a unit, a column a step.

    Gates go from shut (0) to open (1) in the gate's own colour; candidate, cell and hidden state
    from blue (below 0) to red (above 0), centred at 0. The cell state, which has no bounds, is
    coloured by its tanh; its value is shown on hovering.

    Args:
        layer: a recorded layer.
        quantity: one of `layer.quantities`.
        tokens: (T,) what was read at each step, shown on hovering and, if few, on the axis.
        units: which units to show, in which order from the top; all by number if absent. The
            order of `analysis.units_by_memory` puts the longest memory on top.
        b: which sequence of the batch.
        dark: for dark pages.

    Raises:
        InputError: another number of tokens than steps, or units or a quantity that are not there.

    Example:
        >>> longest = [unit for unit, _ in analysis.units_by_memory(trace["l0"])]
        >>> figure = plots.gate_heatmap(trace["l0"], "forget_gate", units=longest)
        >>> figure.data[0].z.shape  # (H, T)
        (8, 35)
    """
    values = layer.sequence(quantity, b).detach().float().cpu().numpy().T  # (H, T)
    H, T = values.shape
    if tokens is not None and len(tokens) != T:
        raise InputError(f"tokens: expected {T}, one for each step, got {len(tokens)}")
    order = list(range(H)) if units is None else list(units)
    if wrong := [unit for unit in order if not 0 <= unit < H]:
        raise InputError(f"units: expected some of 0 to {H - 1}, got {wrong}")
    theme = theme_of(dark)
    figure = heatmap_figure(quantity, theme, is_gate=is_gate(layer, quantity))
    title = f"{look(quantity).label} ({letter_of(layer, quantity)}), {layer.name}"
    framed(figure, theme, height=300, title=title)
    trace: Any = figure.data[0]
    trace.x, trace.y = np.arange(T), [str(unit) for unit in order]
    trace.z = np.tanh(values[order]) if look(quantity).unbounded else values[order]
    if look(quantity).unbounded:
        trace.customdata = values[order]
    trace.text = np.broadcast_to(np.array(labels(tokens, T), dtype=object), (len(order), T))
    if not is_gate(layer, quantity) and not look(quantity).unbounded:
        limit = float(np.nanmax(np.abs(values), initial=1e-6))
        trace.update(zmin=-limit, zmax=limit)
        trace.colorbar.update(
            tickvals=[-limit, 0, limit], ticktext=[f"−{limit:.2g}", "0", f"{limit:.2g}"]
        )
    if tokens is not None and T <= READABLE_STEPS:
        figure.update_xaxes(tickvals=np.arange(T), ticktext=labels(tokens, T), tickangle=0)
    return figure


def heatmap_figure(quantity: str, theme: Theme, *, is_gate: bool) -> go.Figure:
    """The figure of `gate_heatmap` without its numbers."""
    import plotly.graph_objects as go

    q = look(quantity)
    ticks, ends = ([0, 1], ["0 shut", "1 open"]) if is_gate else ([-1, 0, 1], ["−1", "0", "1"])
    if q.unbounded:
        ticks, ends = UNBOUNDED_TICKS
    value = "customdata" if q.unbounded else "z"
    heatmap = go.Heatmap(
        colorscale=gate_scale(q.colour(theme), theme) if is_gate else signed_scale(theme),
        zmin=ticks[0],
        zmax=1,
        colorbar=colour_bar(theme, ticks, ends),
        hovertemplate=f"step %{{x}} <b>%{{text}}</b><br>unit %{{y}}<br>{q.label} "
        f"<b>%{{{value}:.3f}}</b><extra></extra>",
        hoverongaps=False,
    )
    figure = go.Figure(heatmap)
    framed(figure, theme, height=300)
    figure.update_xaxes(title_text="step", showgrid=False)
    figure.update_yaxes(
        title_text="unit", showgrid=False, type="category", autorange="reversed", nticks=9
    )
    return figure
