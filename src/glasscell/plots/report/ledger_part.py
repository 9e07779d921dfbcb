"""The account of each state, as the page carries it: what each step kept, and what it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from glasscell.analysis import swings
from glasscell.plots.palette import Theme
from glasscell.plots.report.numbers import encoded
from glasscell.plots.theme import MONO, framed
from glasscell.tracing import LayerTrace

# Numbers of 4 bytes that one page carries for all its accounts: 1500 steps of 256 units and some.
MOST_NUMBERS = 800_000
FEWEST_UNITS = 8  # before steps are left out


def ledger_content(layers: Sequence[LayerTrace], b: int, steps: int) -> list[Any]:
    """One account a layer, over the steps shown; None for a layer that keeps nothing.

    The values are exact to float32, so that the browser's sum, in double, is the recorded state up
    to rounding. Where all of them would be too many, the units that swing furthest are carried,
    and where even those would be, the first steps.
    """
    carrying = sum(layer.carry() is not None for layer in layers)
    share = MOST_NUMBERS // (2 * max(1, carrying))
    return [_account(layer, b, steps, share) for layer in layers]


def _account(layer: LayerTrace, b: int, steps: int, share: int) -> dict[str, Any] | None:
    """
    Returns:
        `keep`, `write`: U*T floats, unit by unit; `initial`: (U,) what the recurrence came with
        to the first of these steps that it visits; `units`: (U,) which they are; `steps`: T.
    """
    carried = layer.carry(torch.float64)
    if carried is None:
        return None
    keep, write = (layer.of_sequence(each.detach(), b) for each in carried)  # (T, H)
    H = keep.shape[1]
    T = min(steps, max(1, share // min(H, FEWEST_UNITS)))
    many = max(1, min(H, share // T))
    units = torch.arange(H)
    if many < H:
        swing = swings(layer, b=b)
        units = swing.argsort(descending=True)[:many].sort().values
    has_cell = layer.definition.has_cell_state
    if layer.reverse and len(keep) > T:
        initial = layer.sequence(layer.definition.state, b)[T]
    else:
        initial = layer.initial_cell if has_cell else layer.initial_hidden
        initial = initial[b] if layer.layout.batched else initial
    units = units.to(keep.device)
    return {
        "units": units.tolist(),
        "all": many == H,
        "steps": T,
        "state": layer.definition.state,
        "reverse": layer.reverse,
        "initial": encoded(initial[units].detach().double().cpu().numpy(), "<f4"),
        "keep": encoded(keep[:T, units].T.cpu().numpy(), "<f4"),
        "write": encoded(write[:T, units].T.cpu().numpy(), "<f4"),
    }


@cache
def ledger_figure(theme: Theme) -> Any:
    """Columns without their numbers: what was written, what of it is there, and their sum."""
    import plotly.graph_objects as go

    figure = go.Figure()
    framed(figure, theme, height=300)
    says = "%{customdata}<br>%{data.name} <b>%{y:.4f}</b><extra></extra>"
    frame = {"color": theme.zero, "line": {"color": theme.muted, "width": 1}}
    for name, marker in (("written when it came", frame), ("still there", {})):
        figure.add_bar(x=[], y=[], name=name, marker=marker, hovertemplate=says)
    figure.add_bar(
        x=[],
        y=[],
        name="the state",
        marker={"line": {"color": theme.ink, "width": 2}},
        textposition="outside",
        constraintext="none",
        textfont={"color": theme.ink, "size": 12},
        cliponaxis=False,
        hovertemplate="the state, the sum of all <b>%{y:.4f}</b><extra></extra>",
    )
    figure.update_layout(barmode="overlay", bargap=0.2, dragmode=False)
    figure.update_layout(margin={"l": 60, "r": 30, "t": 26, "b": 44})
    figure.update_xaxes(
        type="category",
        categoryorder="array",
        showgrid=False,
        tickangle=0,
        ticks="",
        tickfont={"family": MONO, "size": 12, "color": theme.ink},
    )
    figure.update_yaxes(title_text="part of the state", zeroline=True, zerolinecolor=theme.muted)
    return figure
