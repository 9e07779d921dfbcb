"""The items of a gradient, after RNNbow (Cashman et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from glasscell.analysis import Rnnbow
from glasscell.errors import InputError
from glasscell.plots.heatmap import READABLE_STEPS
from glasscell.plots.palette import Theme, gate_scale
from glasscell.plots.series import rainbow, series_colour
from glasscell.plots.theme import colour_bar, framed, theme_of
from glasscell.plots.token_text import labels

if TYPE_CHECKING:
    import plotly.graph_objects as go

BANDS = 24  # areas at most: more colours could not be told apart
MOST_DECADES = 6  # of the heat map's colours


def rnnbow(
    items: Rnnbow,
    *,
    of: Literal["recurrent", "input"] = "recurrent",
    tokens: Sequence[str] | None = None,
    dark: bool = False,
) -> go.Figure:
    """Which step teaches the weights how much, and whose loss it is that does.

    Above, a column for each step: the norms of what arrives there of each loss, one upon the other,
    coloured by the step that the loss is on. Below, the same as a map: a row for each loss, a
    column for each step where it arrives, in a colour that is logarithmic. A network that learns
    from far away fills the lower triangle; one whose gradient vanishes shows its diagonal.

    Args:
        items: what `analysis.rnnbow` found.
        of: "recurrent", what is added to dL/dU, or "input", to dL/dW.
        tokens: (T,) what was read at each step, shown on hovering and, if few, on the axis.
        dark: for dark pages.

    Raises:
        InputError: another number of tokens than steps.

    Example:
        >>> figure = plots.rnnbow(analysis.rnnbow(lstm, x))
    """
    if of not in ("recurrent", "input"):
        raise InputError(f"of: expected 'recurrent' or 'input', got {of!r}")
    norms = getattr(items, of).numpy()  # (T, T)
    share = getattr(items, f"{of}_share").numpy()
    T = len(norms)
    if tokens is not None and len(tokens) != T:
        raise InputError(f"tokens: expected {T}, one for each step, got {len(tokens)}")
    words = labels(tokens, T)
    theme = theme_of(dark)
    largest = float(norms.max(initial=0)) or 1.0
    with np.errstate(divide="ignore"):
        powers = np.log10(norms / largest)  # 0 for the largest; minus infinity for nothing
    least = float(powers[norms > 0].min(initial=-1))
    decades = min(MOST_DECADES, math.ceil(-least))
    figure = rnnbow_figure(theme, T, "U" if of == "recurrent" else "W", decades)
    for band in np.array_split(np.arange(T), min(T, BANDS)):
        first, last = int(band[0]), int(band[-1])
        losses = f"loss at step {first}" if first == last else f"losses at steps {first} to {last}"
        figure.add_bar(
            x=np.arange(T),
            y=norms[band].sum(0),
            marker={"color": [float(band.mean())] * T, "coloraxis": "coloraxis", "line_width": 0},
            customdata=words,
            hovertemplate=f"{losses}<br>arrived at step %{{x}} <b>%{{customdata}}</b><br>"
            "adds <b>%{y:.3g}</b><extra></extra>",
            row=1,
            col=1,
        )
    heatmap: Any = figure.data[0]
    heatmap.z = np.where(norms > 0, np.maximum(powers, -decades), np.nan)
    heatmap.x, heatmap.y = np.arange(T), np.arange(T)
    heatmap.customdata = np.stack((norms, share), -1)
    heatmap.text = [[f"{word}</b> from step {s} <b>{words[s]}" for word in words] for s in range(T)]
    if tokens is not None and T <= READABLE_STEPS:
        figure.update_xaxes(tickvals=np.arange(T), ticktext=words, tickangle=0, row=2, col=1)
    return figure


def rnnbow_figure(theme: Theme, T: int, weight: str, decades: int) -> go.Figure:
    """The figure of `rnnbow` without its numbers: its heat map; columns are to be added."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.4, 0.6])
    framed(figure, theme, height=560)
    ticks = list(range(-decades, 1, 1 if decades < 4 else 2))
    ends = ["1" if k == 0 else f"10<sup>−{-k}</sup>" for k in ticks]
    bar = {**colour_bar(theme, ticks, ends), "len": 0.58, "y": 0.3}
    bar |= {"title": {"text": "part of the largest", "side": "right", "font": {"size": 11}}}
    figure.add_heatmap(
        colorscale=gate_scale(series_colour(0, theme), theme),
        zmin=-decades,
        zmax=0,
        colorbar=bar,
        hoverongaps=False,
        hovertemplate="arrived at step %{x} <b>%{text}</b><br>adds <b>%{customdata[0]:.3g}</b>, "
        f"%{{customdata[1]:.2%}} of dL/d{weight}<extra></extra>",
        row=2,
        col=1,
    )
    sides = {**colour_bar(theme, [0, max(T - 1, 1)], ["first", "last"]), "len": 0.36}
    sides |= {
        "y": 0.82,
        "title": {"text": "step of the loss", "side": "right", "font": {"size": 11}},
    }
    axis = {"colorscale": rainbow(theme), "cmin": 0, "cmax": max(T - 1, 1), "colorbar": sides}
    figure.update_layout(barmode="stack", bargap=0, coloraxis=axis, margin={"l": 72, "b": 48})
    figure.update_xaxes(showgrid=False)
    figure.update_xaxes(title_text="step that the gradient arrives at", row=2, col=1)
    figure.update_yaxes(title_text=f"added to dL/d{weight} (norm)", row=1, col=1, nticks=5)
    figure.update_yaxes(
        title_text="step of the loss", showgrid=False, autorange="reversed", row=2, col=1, nticks=9
    )
    return figure
