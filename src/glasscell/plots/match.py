"""The matches of a pattern of units, one under the other, after LSTMVis (Strobelt et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glasscell.analysis import Matches, Span
from glasscell.errors import InputError
from glasscell.plots.palette import Theme, gate_scale, look
from glasscell.plots.theme import MONO, colour_bar, framed, theme_of
from glasscell.plots.token_text import label

if TYPE_CHECKING:
    import plotly.graph_objects as go

WIDEST = 64  # columns


def match_list(
    matches: Matches,
    tokens: Sequence[str] | Sequence[Sequence[str]] | None = None,
    *,
    context: int = 8,
    top: int = 20,
    dark: bool = False,
) -> go.Figure:
    """A row for the chosen span and one for each match, the best on top, aligned at their starts.

    A column is a step, with the token that was read there; the deeper its shade, the more of the
    selected units are on. Frames mark the spans. At the left stands where a row is from, and how
    many of the units match over its span.

    Args:
        matches: what `analysis.match` found.
        tokens: what was read at each step: (T,) of the one sequence, or one list a sequence.
        context: how many steps to show before and after the longest span.
        top: how many matches to show.
        dark: for dark pages.

    Raises:
        InputError: another number of tokens than steps.

    Example:
        >>> found = analysis.match(trace["l0"], (5, 8), threshold=0.05)
        >>> figure = plots.match_list(found)
    """
    if context < 0 or top < 1:
        raise InputError(f"context, top: expected from 0 and from 1, got {context} and {top}")
    texts = _texts(matches, tokens)
    theme = theme_of(dark)
    spans = [matches.chosen, *matches.spans[:top]]
    S = len(matches.units)
    overlap = [S, *matches.overlap[:top].tolist()]
    after = min(max(span.stop - span.start for span in spans) + context, WIDEST - context)
    columns = np.arange(-context, after)
    counts = np.full((len(spans), len(columns)), np.nan)
    text = np.full(counts.shape, "", dtype=object)
    steps = np.zeros(counts.shape, dtype=int)
    for row, span in enumerate(spans):
        of_sequence = matches.count_of(span.sequence).numpy()
        at = span.start + columns
        real = (at >= 0) & (at < len(of_sequence))
        counts[row, real] = of_sequence[at[real]]
        steps[row] = at
        if texts is not None:
            text[row, real] = [label(texts[span.sequence][t]) for t in at[real].tolist()]
    figure = match_figure(theme, S, has_tokens=texts is not None, rows=len(spans))
    heatmap: Any = figure.data[0]
    heatmap.x, heatmap.y = columns, np.arange(len(spans))
    heatmap.z, heatmap.text, heatmap.customdata = counts, text, steps
    for row, span in enumerate(spans):
        _frame(figure, row, min(span.stop - span.start, after), theme, is_chosen=row == 0)
    figure.update_yaxes(
        tickvals=np.arange(len(spans)),
        ticktext=[
            f"<b>{_where(span, matches)}</b>  chosen, {S} {'unit' if S == 1 else 'units'}"
            if row == 0
            else f"{_where(span, matches)}  {overlap[row]} of {S}"
            for row, span in enumerate(spans)
        ],
        range=[len(spans) - 0.5, -0.5],
    )
    figure.add_hline(y=0.5, line={"color": theme.muted, "width": 1})
    if not len(matches):
        figure.update_layout(title_subtitle={"text": "nothing matches"})
    return figure


def match_figure(theme: Theme, S: int, *, has_tokens: bool, rows: int) -> go.Figure:
    """The figure of `match_list` without its numbers."""
    import plotly.graph_objects as go

    shown = {"texttemplate": "%{text}", "textfont": {"family": MONO, "size": 12}}
    figure = go.Figure(
        go.Heatmap(
            z=[],
            zmin=0,
            zmax=S,
            # The deeper of its two colours, on dark paper too: tokens must be legible on it.
            colorscale=gate_scale(look("cell").light, theme),
            colorbar=colour_bar(theme, [0, S], ["0", str(S)])
            | {"title": {"text": "units on", "side": "right", "font": {"size": 11}}},
            xgap=1,
            ygap=5,
            hoverongaps=False,
            hovertemplate="step %{customdata} <b>%{text}</b><br><b>%{z}</b> of "
            f"{S} units on<extra></extra>",
            **(shown if has_tokens else {}),
        )
    )
    framed(figure, theme, height=96 + 26 * rows, title="Where the same units are on")
    figure.update_xaxes(title_text="step, from the start of the span", showgrid=False)
    figure.update_yaxes(showgrid=False, ticks="", automargin=True)
    figure.update_layout(dragmode=False)
    return figure


def _frame(figure: go.Figure, row: int, length: int, theme: Theme, *, is_chosen: bool) -> None:
    figure.add_shape(
        x0=-0.5,
        x1=length - 0.5,
        y0=row - 0.42,
        y1=row + 0.42,
        line={"color": theme.accent, "width": 2.5 if is_chosen else 1.5},
    )


def _where(span: Span, matches: Matches) -> str:
    steps = f"{span.start}–{span.stop - 1}" if span.stop - span.start > 1 else f"{span.start}"
    return f"step {steps}" if len(matches.lengths) == 1 else f"sequence {span.sequence}, {steps}"


def _texts(matches: Matches, tokens: Any) -> list[list[str]] | None:
    """The tokens of each sequence."""
    if tokens is None:
        return None
    lengths = matches.lengths.tolist()
    is_flat = len(lengths) == 1 and (not len(tokens) or isinstance(tokens[0], str))
    texts = [list(text) for text in ([tokens] if is_flat else tokens)]
    if [len(text) for text in texts] != lengths:
        raise InputError(
            f"tokens: expected one for each step, {lengths[:4]} in {len(lengths)} sequences, got "
            f"{[len(text) for text in texts][:4]} in {len(texts)}"
        )
    return texts
