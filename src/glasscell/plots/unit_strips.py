"""One unit from close: each of its gates and states as a strip over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glasscell.errors import InputError
from glasscell.plots.heatmap import READABLE_STEPS, is_gate
from glasscell.plots.palette import Theme, gate_scale, look, signed_scale
from glasscell.plots.theme import framed, theme_of
from glasscell.plots.token_text import labels
from glasscell.tracing import LayerTrace

if TYPE_CHECKING:
    import plotly.graph_objects as go

# From what a cell reads to what it shows, so that a column is read from top to bottom.
ORDER = (
    "input_gate",
    "candidate",
    "forget_gate",
    "reset_gate",
    "update_gate",
    "cell",
    "output_gate",
    "hidden",
)


def unit_strips(
    layer: LayerTrace,
    unit: int,
    *,
    tokens: Sequence[str] | None = None,
    b: int = 0,
    dark: bool = False,
) -> go.Figure:
    """Everything that one unit did: a strip for each gate and state, a column for each step.

    Args:
        layer: a recorded layer.
        unit: which unit, from 0.
        tokens: (T,) what was read at each step, shown on hovering and, if few, on the axis.
        b: which sequence of the batch.
        dark: for dark pages.

    Raises:
        InputError: a unit or a sequence that is not there, or another number of tokens than steps.

    Example:
        >>> figure = plots.unit_strips(trace["l0"], unit=3, b=1)
        >>> [strip.name for strip in figure.data][:3]
        ['input_gate', 'candidate', 'forget_gate']
        >>> figure.data[0].z.shape  # (1, T)
        (1, 35)
    """
    T, H = layer.sequence(layer.definition.state, b).shape
    if not 0 <= unit < H:
        raise InputError(f"unit: expected 0 to {H - 1}, got {unit}")
    if tokens is not None and len(tokens) != T:
        raise InputError(f"tokens: expected {T}, one for each step, got {len(tokens)}")
    theme = theme_of(dark)
    kinds = {name: is_gate(layer, name) for name in layer.quantities}
    title = f"Unit {unit}, {layer.name}"
    figure = unit_strips_figure(kinds, theme, title=title)
    for trace in figure.data:
        strip: Any = trace
        values = layer.sequence(strip.name, b)[:, unit].detach().float().cpu().numpy()  # (T,)
        T = len(values)
        strip.x, strip.z, strip.text = np.arange(T), values[None], [labels(tokens, T)]
        if look(strip.name).unbounded:
            strip.z, strip.customdata = np.tanh(values[None]), values[None]
        elif not kinds[strip.name]:
            limit = float(np.nanmax(np.abs(values), initial=1e-6))
            strip.update(zmin=-limit, zmax=limit)
    if tokens is not None and T <= READABLE_STEPS:
        figure.update_xaxes(tickvals=np.arange(T), ticktext=labels(tokens, T), tickangle=0)
    return figure


def unit_strips_figure(kinds: dict[str, bool], theme: Theme, title: str = "") -> go.Figure:
    """The figure of `unit_strips` without its numbers.

    Args:
        kinds: the quantities, and for each whether it is a gate between 0 and 1.
    """
    import plotly.graph_objects as go

    names = [name for name in ORDER if name in kinds]
    names += [name for name in kinds if name not in names]
    figure = go.Figure()
    for row, name in enumerate(names):
        q = look(name)
        value = "customdata" if q.unbounded else "z"
        figure.add_heatmap(
            name=name,
            y=[row],
            z=[[]],
            zmin=0 if kinds[name] else -1,
            zmax=1,
            colorscale=gate_scale(q.colour(theme), theme) if kinds[name] else signed_scale(theme),
            showscale=False,
            ygap=4,
            hovertemplate=f"step %{{x}} <b>%{{text}}</b><br>{q.label} "
            f"<b>%{{{value}:.3f}}</b><extra></extra>",
        )
    framed(figure, theme, height=70 + 34 * len(names), title=title)
    figure.update_xaxes(title_text="step", showgrid=False)
    words = [look(name).label for name in names]
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=words, ticks="")
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], showgrid=False)
    figure.update_layout(margin_l=96)
    return figure
