"""How a gradient fades or grows on its way back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from glasscell.analysis import GradientFlow
from glasscell.analysis.gradients.gradient_flow import FAINT
from glasscell.errors import InputError
from glasscell.plots.palette import Theme, look
from glasscell.plots.series import series_colour
from glasscell.plots.theme import framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
DEEPEST = 1e-12  # the axis goes no lower, so that what vanishes leaves room for what does not


def gradient_flow(
    flows: GradientFlow | Mapping[str, GradientFlow], *, dark: bool = False
) -> go.Figure:
    """Which part of a gradient arrives, over the distance from the loss, on a logarithmic axis.

    Of several layers, a line for each: dL/dc in an LSTM, dL/dh elsewhere, as part of what it is at
    the last step. Dashed in the same colour: what comes along the state alone, the carousel. Of one
    layer, a line for its states and each of its gates, in their own colours.

    Args:
        flows: what `analysis.compare_gradient_flow` or `analysis.gradient_flow` found.
        dark: for dark pages.

    Raises:
        InputError: there are none.

    Example:
        >>> figure = plots.gradient_flow(analysis.gradient_flow(lstm, x))
    """
    theme = theme_of(dark)
    lines = _of_one(flows, theme) if isinstance(flows, GradientFlow) else _of_several(flows, theme)
    if not lines:
        raise InputError("flows: expected at least one, got none")
    figure = gradient_flow_figure(theme)
    heights = [1.0]
    for line in lines:
        y = line.pop("values").numpy()
        shown = np.where((y > 0) & np.isfinite(y), y, np.nan)  # a gap, where a logarithm has none
        heights += [float(each) for each in shown[np.isfinite(shown)]]
        figure.add_scatter(x=np.arange(len(y)), y=shown, mode="lines", **line)
    low, high = max(min(heights), DEEPEST), max(heights)
    bottom, top = float(np.log10(low)), float(np.log10(high))
    margin = 0.06 * max(1.0, top - bottom)
    figure.update_yaxes(range=[bottom - margin, top + margin], **_ticks(bottom, top))
    for level, says in ((FAINT, "vanishing ↓"), (1 / FAINT, "exploding ↑")):
        if low < level < high:
            _level(figure, theme, level, says)
    return figure


def gradient_flow_figure(theme: Theme) -> go.Figure:
    """The figure of `gradient_flow` without its numbers."""
    import plotly.graph_objects as go

    figure = go.Figure()
    framed(figure, theme, height=380)
    figure.update_xaxes(title_text="steps back from the loss", rangemode="tozero", showgrid=False)
    figure.update_yaxes(
        type="log", title_text="part that arrives (log scale)", tickformat=",.2~r", nticks=8
    )
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemwidth": 40}
    legend |= {"font": {"size": 12, "color": theme.ink}}
    figure.update_layout(showlegend=True, legend=legend, margin={"t": 64, "l": 72, "b": 48})
    figure.update_layout(margin_r=84)  # room for the names of the levels
    return figure


def _of_several(flows: Mapping[str, GradientFlow], theme: Theme) -> list[dict[str, Any]]:
    lines = []
    for k, (name, flow) in enumerate(flows.items()):
        colour = series_colour(k, theme)
        state = look("cell" if flow.cell is not None else "hidden")
        says = f"{name}: {flow.verdict}, ×{flow.rate:.3g} a step"
        lines.append(_line(flow.relative, says, colour, f"{name}, dL/d{state.letter}", group=name))
        if flow.carousel is not None:
            along = flow.part(flow.carousel)
            line = _line(along, "", colour, f"{name}, along the carousel", group=name, dash="dash")
            lines.append({**line, "showlegend": False})
    has_dashes = any(flow.carousel is not None for flow in flows.values())
    if has_dashes:
        nothing = torch.tensor([torch.nan])
        lines.append(_line(nothing, "along the carousel alone", theme.muted, "", dash="dash"))
    return lines


def _of_one(flow: GradientFlow, theme: Theme) -> list[dict[str, Any]]:
    own = {"hidden": flow.hidden, "cell": flow.cell, **flow.gates}
    lines = []
    for name, norms in own.items():
        if norms is not None:
            q = look(name)
            says = f"dL/d{_letter(flow, name)}: {q.label.lower()}"
            colour = q.colour(theme)
            lines.append(_line(flow.part(norms), says, colour, q.label, width=_width(flow, name)))
    if flow.carousel is not None:
        colour = look("cell" if flow.cell is not None else "hidden").colour(theme)
        says = "along the carousel alone"
        lines.append(_line(flow.part(flow.carousel), says, colour, says, dash="dash"))
    return lines


def _width(flow: GradientFlow, name: str) -> float:
    """The state is what the verdict is about."""
    return 3 if name == ("hidden" if flow.cell is None else "cell") else 1.5


def _letter(flow: GradientFlow, name: str) -> str:
    """A GRU's candidate is n, and so is that of all that have no cell state."""
    return "n" if name == "candidate" and flow.cell is None else look(name).letter


def _line(
    values: Tensor,
    name: str,
    colour: str,
    hover: str,
    *,
    group: str = "",
    dash: str = "solid",
    width: float = 2.5,
) -> dict[str, Any]:
    return {
        "values": values,
        "name": name,
        "legendgroup": group or name,
        "line": {"color": colour, "dash": dash, "width": 1.8 if dash == "dash" else width},
        "hovertemplate": f"<b>{hover}</b><br>%{{x}} steps back<br>"
        "<b>%{y:.3g}</b> of it arrives<extra></extra>",
    }


def _ticks(bottom: float, top: float) -> dict[str, Any]:
    """Whole powers of ten, where the axis has enough of them."""
    every = max(1, math.ceil((top - bottom) / 7))
    powers = range(every * math.floor(bottom / every), math.ceil(top) + 1, every)
    if top - bottom < 2:
        return {}
    names = [str(10**k) if 0 <= k <= 2 else f"10{str(k).translate(SUPERSCRIPT)}" for k in powers]
    return {"tickvals": [10.0**k for k in powers], "ticktext": names}


def _level(figure: go.Figure, theme: Theme, level: float, says: str) -> None:
    line = {"color": theme.muted, "width": 1, "dash": "dot"}
    figure.add_hline(y=level, line=line, layer="below")
    figure.add_annotation(
        x=1,
        xref="paper",
        xanchor="left",
        xshift=4,
        y=float(np.log10(level)),
        yanchor="middle",
        text=says,
        showarrow=False,
        font={"size": 11, "color": theme.muted},
    )
