"""What is left of a kick to each unit's memory, step after step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from glasscell.analysis import KickSurvival
from glasscell.errors import InputError
from glasscell.plots.palette import gate_scale, look
from glasscell.plots.theme import colour_bar, framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go


def kick_survival(
    kicks: KickSurvival, *, of: Literal["own", "whole"] = "own", dark: bool = False
) -> go.Figure:
    """A row a unit, the longest memory on top; a column a step since the kick, on a log axis.

    The colour is how much of the kick is left, from all (dark) to nothing. The line marks where
    1/e is left; the circles where it would be if the gates alone decided. Where they part,
    what comes back through the recurrent weights keeps a memory up, or wipes it out.

    Args:
        kicks: what `analysis.kick_survival` measured.
        of: what to show of it: the kicked unit's own memory, or the whole state's change.
        dark: for dark pages.

    Raises:
        InputError: no such curve.

    Example:
        >>> kicks = analysis.kick_survival(lstm, x, window=12)
        >>> figure = plots.kick_survival(kicks)
    """
    import plotly.graph_objects as go

    if of not in ("own", "whole"):
        raise InputError(f"of: expected 'own' or 'whole', got {of!r}")
    theme = theme_of(dark)
    curve, times = (kicks.own if of == "own" else kicks.whole), kicks.steps(of=of)
    rest = torch.argsort(curve[-1], descending=True, stable=True)
    order = rest[torch.argsort(times[rest], descending=True, stable=True)]
    left = curve[1:, order].T.cpu().numpy()  # (U, K)
    K, U = kicks.window, len(order)
    steps = np.arange(1, K + 1)
    edges = np.concatenate(([1 / math.sqrt(2)], np.sqrt(steps[:-1] * steps[1:]), [K * 1.03]))
    rows = np.arange(U)
    names = kicks.units[order].cpu().numpy()
    colour = look("cell").colour(theme)
    figure = go.Figure()
    framed(figure, theme, height=max(260, min(620, 120 + 14 * U)))
    figure.add_heatmap(
        x=edges,
        y=rows,
        z=left,
        customdata=np.broadcast_to(names[:, None], left.shape),
        text=np.broadcast_to(steps, left.shape),
        zmin=0,
        zmax=1,
        colorscale=gate_scale(colour, theme),
        colorbar=colour_bar(theme, [0, 1 / math.e, 1], ["gone", "1/e", "all"]),
        hovertemplate="unit <b>%{customdata}</b><br><b>%{z:.1%}</b> left after %{text} steps"
        "<extra></extra>",
    )
    marks = [("measured", "lines+markers" if U <= 40 else "lines", "circle", times[order])]
    if of == "own" and kicks.carousel is not None:
        alone = kicks.steps(of="carousel")[order]
        marks.append(("by the gates alone", "markers", "circle-open", alone))
    for name, mode, symbol, found in marks:
        shown = found.clamp(min=float(edges[0])).cpu().numpy()
        figure.add_scatter(
            x=np.where(np.isfinite(shown), shown, np.nan),
            y=rows,
            mode=mode,
            line={"color": theme.ink, "width": 1.5},
            marker={"size": 4 if symbol == "circle" else 7, "color": theme.ink, "symbol": symbol},
            customdata=names,
            name=f"1/e left, {name}",
            hovertemplate=f"unit <b>%{{customdata}}</b><br>1/e left after <b>%{{x:.3g}}</b> steps, "
            f"{name}<extra></extra>",
        )
    every = max(1, -(-U // 40))
    figure.update_xaxes(
        type="log",
        title_text=f"steps since the kick (log scale), averaged over {kicks.times} kicks",
        range=[math.log10(edges[0]), math.log10(edges[-1])],
        tickvals=[n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if n <= K],
        showgrid=False,
    )
    figure.update_yaxes(
        title_text="unit, longest memory on top",
        range=[U - 0.5, -0.5],
        tickvals=rows[::every],
        ticktext=[str(name) for name in names[::every]],
        showgrid=False,
    )
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        margin={"t": 40, "b": 48, "l": 64},
    )
    return figure
