"""What the model expected next, step by step, beside what came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glasscell.analysis import Predictions
from glasscell.plots.palette import Theme, gate_scale, look
from glasscell.plots.theme import MONO, framed, theme_of
from glasscell.plots.token_text import label, labels

if TYPE_CHECKING:
    import plotly.graph_objects as go


def next_token(
    predictions: Predictions,
    tokens: Sequence[str],
    vocabulary: Sequence[str],
    *,
    start: int = 0,
    steps: int = 28,
    dark: bool = False,
) -> go.Figure:
    """The most probable next tokens after each step: a column a step, the likeliest on top.

    The token that was read stands above its column; a frame marks the guess that came true.

    Args:
        predictions: what `analysis.predictions` found.
        tokens: (T,) the tokens that were read.
        vocabulary: (V,) every token as text.
        start: the first step to show.
        steps: how many.
        dark: for dark pages.

    Example:
        >>> ids, letters = torch.tensor([0, 1, 2, 0, 1]), ["a", "b", "c"]
        >>> found = analysis.predictions(torch.randn(5, 3), ids, top=2)
        >>> figure = plots.next_token(found, [letters[v] for v in ids], letters)
        >>> figure.data[0].z.shape  # (k, T): probabilities, the likeliest first
        (2, 5)
    """
    theme = theme_of(dark)
    figure = next_token_figure(theme)
    rows = slice(start, start + steps)
    guesses = predictions.tokens[rows].tolist()
    heatmap: Any = figure.data[0]
    heatmap.z = np.asarray(predictions.probabilities[rows].tolist()).T
    heatmap.text = np.array([[label(vocabulary[int(v)]) for v in row] for row in guesses]).T
    heatmap.x = list(range(start, start + len(guesses)))
    heatmap.y = [str(k + 1) for k in range(predictions.tokens.shape[1])]
    figure.update_xaxes(tickvals=heatmap.x, ticktext=labels(tokens[rows], len(guesses)))
    for t, row in enumerate(guesses, start):
        came = tokens[t + 1] if t + 1 < len(tokens) else None
        hits = [k for k, v in enumerate(row) if vocabulary[v] == came]
        for k in hits[:1]:
            figure.add_shape(
                x0=t - 0.46, x1=t + 0.46, y0=k - 0.44, y1=k + 0.44, line_color=theme.accent
            )
    return figure


def next_token_figure(theme: Theme) -> go.Figure:
    """The figure of `next_token` without its numbers."""
    import plotly.graph_objects as go

    figure = go.Figure(
        go.Heatmap(
            z=[],
            zmin=0,
            zmax=1,
            # The deeper of its two colours, on dark paper too: tokens must be legible on it.
            colorscale=gate_scale(look("hidden").light, theme),
            showscale=False,
            xgap=3,
            ygap=3,
            texttemplate="%{text}",
            textfont={"family": MONO, "size": 13},
            hovertemplate="guess %{y}: <b>%{text}</b><br>"
            "probability <b>%{z:.1%}</b><extra></extra>",
        )
    )
    framed(figure, theme, height=236)
    figure.update_xaxes(
        side="top",
        showgrid=False,
        ticks="",
        tickangle=0,
        tickfont={"family": MONO, "size": 13, "color": theme.ink},
    )
    figure.update_yaxes(
        type="category", autorange="reversed", showgrid=False, ticks="", title_text="guess"
    )
    figure.update_layout(margin={"t": 34, "b": 12}, dragmode=False)
    return figure
