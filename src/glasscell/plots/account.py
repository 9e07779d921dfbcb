"""What `ledger` and `gradient_ledger` share: an account as columns over steps, or as a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from glasscell.errors import InputError
from glasscell.plots.heatmap import READABLE_STEPS
from glasscell.plots.palette import Theme, signed_scale
from glasscell.plots.theme import colour_bar, framed
from glasscell.plots.token_text import labels

if TYPE_CHECKING:
    import plotly.graph_objects as go

START = "…"  # on the axis: what was there before the first step


@dataclass(frozen=True)
class Account:
    """An account as a figure draws it; rows in the order of time.

    Attributes:
        steps: (K,) steps.
        at_first: (K, H) what each put in.
        now: (K, H) what is there of it.
        start: (H,) what is left of the beginning; None where there is none.
        words: for axes and hovering: what was put in, what there is of it, what both make up.
    """

    steps: np.ndarray
    at_first: np.ndarray
    now: np.ndarray
    start: np.ndarray | None
    words: tuple[str, str, str]

    @property
    def H(self) -> int:
        return self.now.shape[1]


def words_of(account: Account, tokens: Sequence[str] | None) -> list[str]:
    """A label for each row.

    Raises:
        InputError: fewer tokens than the steps need.
    """
    needed = int(account.steps.max()) + 1
    if tokens is not None and len(tokens) < needed:
        raise InputError(f"tokens: expected {needed} or more, one for each step, got {len(tokens)}")
    every = labels(tokens, needed)
    return [every[step] for step in account.steps]


def columns(
    account: Account, unit: int, tokens: Sequence[str] | None, theme: Theme, title: str
) -> go.Figure:
    """One unit: a column for each step, what it put in as a frame, what is there of it filled."""
    import plotly.graph_objects as go

    if not 0 <= unit < account.H:
        raise InputError(f"unit: expected 0 to {account.H - 1}, got {unit}")
    words = words_of(account, tokens)
    put_in, is_there, whole = account.words
    first, now = account.at_first[:, unit], account.now[:, unit]
    x, names = [str(step) for step in account.steps], words
    hover = [f"step {s} <b>{w}</b>" for s, w in zip(account.steps, words, strict=True)]
    if account.start is not None:
        start = account.start[unit : unit + 1]
        first, now = np.append(start, first), np.append(start, now)
        x, names, hover = [START, *x], [START, *names], ["the initial state", *hover]
    total = float(now.sum())
    figure = go.Figure()
    framed(figure, theme, height=340, title=title)
    figure.add_bar(
        x=x,
        y=first,
        name=put_in,
        marker={"color": theme.zero, "line": {"color": theme.muted, "width": 1}},
        customdata=hover,
        hovertemplate=f"%{{customdata}}<br>{put_in} <b>%{{y:.3g}}</b><extra></extra>",
    )
    figure.add_bar(
        x=x,
        y=now,
        name=is_there,
        marker={"color": [theme.positive if v >= 0 else theme.negative for v in now]},
        customdata=hover,
        hovertemplate=f"%{{customdata}}<br>{is_there} <b>%{{y:.3g}}</b><extra></extra>",
    )
    colour = theme.positive if total >= 0 else theme.negative
    figure.add_bar(
        x=["sum"],
        y=[total],
        name=whole,
        marker={"color": colour, "line": {"color": theme.ink, "width": 2}},
        text=[f"{total:.3g}".replace("-", "−")],
        textposition="outside",
        constraintext="none",
        textfont={"color": theme.ink, "size": 12},
        cliponaxis=False,
        hovertemplate=f"{whole} <b>%{{y:.3g}}</b><extra></extra>",
    )
    figure.update_layout(barmode="overlay", bargap=0.2, margin={"l": 76, "r": 40, "t": 76, "b": 48})
    _key(figure, theme, put_in, is_there)
    # a gap between the columns and their sum, which is no step
    figure.update_xaxes(
        type="category",
        categoryorder="array",
        categoryarray=[*x, " ", "sum"],
        range=[-0.6, len(x) + 1.6],
        showgrid=False,
        tickangle=0,
        title_text="step",
    )
    if tokens is not None and len(x) <= READABLE_STEPS:
        figure.update_xaxes(tickvals=[*x, "sum"], ticktext=[*names, "sum"])
    else:
        every = max(1, len(x) // 12)
        figure.update_xaxes(tickvals=[*x[::every], "sum"])
    figure.update_yaxes(title_text=whole, zeroline=True, zerolinecolor=theme.muted)
    return figure


def _key(figure: go.Figure, theme: Theme, put_in: str, is_there: str) -> None:
    """What frame and colours mean, in a line under the title."""
    text = (
        f"<span style='color:{theme.muted}'>▯</span> {put_in}   "
        f"<span style='color:{theme.positive}'>▮</span>"
        f"<span style='color:{theme.negative}'>▮</span> {is_there}"
    )
    figure.add_annotation(
        x=0,
        xref="paper",
        xanchor="left",
        y=1.02,
        yref="paper",
        yanchor="bottom",
        text=text,
        showarrow=False,
        font={"size": 12, "color": theme.muted},
    )


def account_map(
    account: Account, tokens: Sequence[str] | None, theme: Theme, title: str
) -> go.Figure:
    """All units: a row a unit, a column a step, what is there of what it put in."""
    import plotly.graph_objects as go

    words = words_of(account, tokens)
    _, is_there, _ = account.words
    values = account.now.T  # (H, K)
    names = [str(step) for step in account.steps]
    hover = words
    if account.start is not None:
        values = np.concatenate((account.start[:, None], values), 1)
        names, hover = [START, *names], ["the initial state", *words]
    limit = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    ends = [f"−{limit:.2g}", "0", f"{limit:.2g}"]
    heatmap: Any = go.Heatmap(
        x=names,
        y=[str(unit) for unit in range(account.H)],
        z=values,
        zmin=-limit,
        zmax=limit,
        colorscale=signed_scale(theme),
        colorbar=colour_bar(theme, [-limit, 0, limit], ends),
        text=np.broadcast_to(np.array(hover, dtype=object), values.shape),
        hovertemplate=f"step %{{x}} <b>%{{text}}</b><br>unit %{{y}}<br>{is_there} "
        "<b>%{z:.3g}</b><extra></extra>",
    )
    figure = go.Figure(heatmap)
    framed(figure, theme, height=320, title=title)
    figure.update_xaxes(title_text="step", showgrid=False, type="category", tickangle=0, nticks=16)
    figure.update_yaxes(
        title_text="unit", showgrid=False, type="category", autorange="reversed", nticks=9
    )
    if tokens is not None and len(names) <= READABLE_STEPS:
        shown = [n if n == START else w for n, w in zip(names, hover, strict=True)]
        figure.update_xaxes(tickvals=names, ticktext=shown)
    return figure
