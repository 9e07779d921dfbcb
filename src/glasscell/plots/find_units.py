"""Which units hold a feature: their scores beside chance, the probe, and the best unit at work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from glasscell.analysis import FoundUnits, Probe
from glasscell.analysis.units.rows import laid_out, rows_of
from glasscell.errors import InputError
from glasscell.plots.heatmap import READABLE_STEPS
from glasscell.plots.palette import Theme, look
from glasscell.plots.theme import framed, theme_of
from glasscell.plots.token_text import labels as token_labels
from glasscell.tracing import LayerTrace

if TYPE_CHECKING:
    import plotly.graph_objects as go

NAMES = {"auc": "AUC", "pearson": "correlation", "spearman": "rank correlation"}


def unit_scores(
    found: FoundUnits,
    *,
    layer: LayerTrace | None = None,
    labels: Tensor | np.ndarray | Sequence | None = None,
    tokens: Sequence[str] | None = None,
    b: int = 0,
    unit: int | None = None,
    top: int = 60,
    level: float = 0.05,
    dark: bool = False,
) -> go.Figure:
    """The units that tell a label best, and whether they do so better than chance.

    Above, a point a unit, the best first, in colour if its family-wise p value is below `level`.
    The band is where even the best of all units stays by chance, but for that share of the time. At
    the right the probe: a ring for each fold, its mean as a line. Below, if a layer is given, the
    best unit over the steps of one sequence, with the label behind it.

    Args:
        found: what `analysis.find_units` found.
        layer: the layer that was searched.
        labels: the labels that were given to `find_units`, to be shown below.
        tokens: (T,) what was read at each step of sequence b.
        b: which sequence to show.
        unit: which unit to show below; the best if absent.
        top: how many units to show above.
        level: of significance.
        dark: for dark pages.

    Raises:
        InputError: another number of tokens than steps.

    Example:
        >>> positive = x[..., 0] > 0
        >>> found = analysis.find_units(trace["l0"], positive)
        >>> figure = plots.unit_scores(found, layer=trace["l0"], labels=positive)
    """
    from plotly.subplots import make_subplots

    theme = theme_of(dark)
    has_probe = found.probe is not None
    rows: list[list[Any]] = [[{}, {}] if has_probe else [{}]]
    if layer is not None:
        rows.append([{"colspan": 2}, None] if has_probe else [{}])
    figure = make_subplots(
        rows=len(rows),
        cols=len(rows[0]),
        specs=rows,
        column_widths=[0.88, 0.12] if has_probe else [1],
        row_heights=[0.6, 0.4] if layer is not None else [1],
        horizontal_spacing=0.07,
        vertical_spacing=0.2,
    )
    where = f", {found.name}" if found.name else ""
    what = look(found.quantity).label if found.quantity else "Unit"
    title = f"{what}: what each unit knows{where}"
    framed(figure, theme, height=340 if layer is None else 560, title=title)
    figure.update_layout(margin={"t": 64}, dragmode=False)
    _scores(figure, found, top, level, theme)
    if found.probe is not None:
        _probe(figure, found.probe, theme)
    if layer is not None:
        chosen = int(found.order[0]) if unit is None else unit
        _course(figure, found, layer, labels, tokens, b, chosen, theme)
    return figure


def _scores(figure: go.Figure, found: FoundUnits, top: int, level: float, theme: Theme) -> None:
    best, H = found.best(top), len(found.scores)
    limit = found.limit(level)
    colour = look(found.quantity).colour(theme)
    if np.isfinite(limit):
        figure.add_shape(
            x0=0,
            x1=1,
            xref="x domain",
            y0=found.chance - limit,
            y1=found.chance + limit,
            fillcolor=theme.line,
            opacity=0.55,
            line_width=0,
            layer="below",
        )
        note = f"grey: where the best of {H} units stays by chance, {1 - level:.0%} of the time"
    else:
        note = "not tested against chance" if np.isnan(limit) else "too few cases to test"
    _level(figure, found.chance, "x", "y", theme)
    figure.add_annotation(
        text=note,
        x=1,
        xref="x domain",
        xanchor="right",
        y=1,
        yref="y domain",
        yanchor="bottom",
        showarrow=False,
        font={"size": 11, "color": theme.muted},
    )
    figure.add_scatter(
        mode="markers",
        x=[str(each.unit) for each in best],
        y=[each.score for each in best],
        customdata=[[_p(each.p), _p(each.p_family)] for each in best],
        marker={
            "size": 8,
            "color": [colour if each.p_family < level else theme.surface for each in best],
            "line": {
                "width": 1.5,
                "color": [colour if each.p_family < level else theme.muted for each in best],
            },
        },
        hovertemplate=f"unit <b>%{{x}}</b><br>{NAMES[found.measure]} <b>%{{y:.3f}}</b><br>"
        "p %{customdata[0]}, of all units %{customdata[1]}<extra></extra>",
        row=1,
        col=1,
    )
    furthest = max(abs(each.score - found.chance) for each in best)
    reach = 1.12 * max(furthest, limit if np.isfinite(limit) else 0.0, 1e-3)
    shown = f"unit, best first ({len(best)} of {H})" if len(best) < H else "unit, best first"
    figure.update_xaxes(
        type="category",
        range=[-0.8, len(best) - 0.2],
        title_text=shown,
        showgrid=False,
        tickangle=0,
        nticks=24,
        row=1,
        col=1,
    )
    figure.update_yaxes(
        title_text=NAMES[found.measure],
        range=[found.chance - reach, found.chance + reach],
        row=1,
        col=1,
    )


def _level(figure: go.Figure, y: float, x_axis: str, y_axis: str, theme: Theme) -> None:
    figure.add_shape(
        type="line",
        x0=0,
        x1=1,
        xref=f"{x_axis} domain",
        y0=y,
        y1=y,
        yref=y_axis,
        line={"color": theme.muted, "width": 1},
        layer="below",
    )


def _p(p: float) -> str:
    return "not tested" if np.isnan(p) else f"{p:.2g}"


def _probe(figure: go.Figure, probe: Probe, theme: Theme) -> None:
    figure.update_xaxes(visible=False, range=[-1, 1], row=1, col=2)
    by_fold = probe.by_fold[~probe.by_fold.isnan()].tolist()
    name, chance = ("AUC", 0.5) if probe.measure == "auc" else ("R²", 0.0)
    _level(figure, chance, "x2", "y2", theme)
    figure.add_scatter(
        mode="markers",
        x=np.linspace(-0.5, 0.5, len(by_fold)) if len(by_fold) > 1 else [0.0],
        y=by_fold,
        marker={
            "size": 8,
            "color": theme.surface,
            "line": {"width": 1.5, "color": theme.accent},
        },
        hovertemplate=f"probe, one fold<br>{name} <b>%{{y:.3f}}</b><extra></extra>",
        row=1,
        col=2,
    )
    figure.add_scatter(
        mode="lines",
        x=[-0.8, 0.8],
        y=[probe.score, probe.score],
        line={"color": theme.accent, "width": 3},
        hovertemplate=f"probe, mean of folds<br>{name} <b>%{{y:.3f}}</b><extra></extra>",
        row=1,
        col=2,
    )
    figure.add_annotation(
        text=f"<b>{probe.score:.3f}</b><br>probe",
        x=0.5,
        xref="x2 domain",
        y=1,
        yref="y2 domain",
        yanchor="bottom",
        showarrow=False,
        font={"size": 11, "color": theme.ink},
    )
    low = min([chance, probe.score, *by_fold])
    figure.update_yaxes(
        title_text=f"{name} out of fold", range=[low - 0.05, 1.03], nticks=5, row=1, col=2
    )


def _course(
    figure: go.Figure,
    found: FoundUnits,
    layer: LayerTrace,
    labels: Any,
    tokens: Sequence[str] | None,
    b: int,
    unit: int,
    theme: Theme,
) -> None:
    quantity = found.quantity or layer.definition.state
    values = layer.sequence(quantity, b)[:, unit].detach().double().cpu().numpy()  # (T,)
    T = len(values)
    if tokens is not None and len(tokens) != T:
        raise InputError(f"tokens: expected {T}, one for each step, got {len(tokens)}")
    q = look(quantity)
    text = token_labels(tokens, T)
    if labels is not None:
        rows = rows_of(layer, quantity)
        b %= rows.B
        of_b = slice(rows.offsets[b], rows.offsets[b + 1])
        y = laid_out(rows, labels, "labels")[of_b].astype(float)
        _label_behind(figure, found, y, values, theme)
    figure.add_scatter(
        mode="lines",
        x=np.arange(T),
        y=values,
        text=text,
        line={"color": q.colour(theme), "width": 1.75},
        hovertemplate=f"step %{{x}} <b>%{{text}}</b><br>{q.label} of unit {unit} "
        "<b>%{y:.3f}</b><extra></extra>",
        row=2,
        col=1,
    )
    figure.update_xaxes(title_text="step", showgrid=False, range=[-0.5, T - 0.5], row=2, col=1)
    figure.update_yaxes(title_text=f"{q.letter}, unit {unit}", row=2, col=1)
    if tokens is not None and T <= READABLE_STEPS:
        figure.update_xaxes(tickvals=np.arange(T), ticktext=text, tickangle=0, row=2, col=1)


def _label_behind(
    figure: go.Figure, found: FoundUnits, y: np.ndarray, values: np.ndarray, theme: Theme
) -> None:
    """Where the label is on, as a shade; a label of numbers as a line, drawn to the same height."""
    below = 2 if found.probe is None else 3  # plotly's number of the axes
    if found.measure == "auc":
        edges = np.flatnonzero(np.diff(np.concatenate(([0], (y == 1).astype(int), [0]))))
        for start, stop in edges.reshape(-1, 2).tolist():
            figure.add_shape(
                x0=start - 0.5,
                x1=stop - 0.5,
                xref=f"x{below}",
                y0=0,
                y1=1,
                yref=f"y{below} domain",
                fillcolor=theme.surprise,
                opacity=0.22,
                line_width=0,
                layer="below",
            )
        said = "shaded where the label is on"
    else:
        span = np.nanmax(y, initial=-np.inf) - np.nanmin(y, initial=np.inf)
        height = (y - np.nanmin(y)) / (span or 1.0)
        drawn = values.min() + height * (values.max() - values.min())
        figure.add_scatter(
            mode="lines",
            x=np.arange(len(y)),
            y=drawn,
            customdata=y,
            line={"color": theme.surprise, "width": 1.5, "shape": "hv"},
            hovertemplate="label <b>%{customdata:.4g}</b><extra></extra>",
            row=2,
            col=1,
        )
        said = "the label in yellow, drawn to the same height"
    figure.add_annotation(
        text=said,
        x=1,
        xref=f"x{below} domain",
        xanchor="right",
        y=1,
        yref=f"y{below} domain",
        yanchor="bottom",
        showarrow=False,
        font={"size": 11, "color": theme.muted},
    )
