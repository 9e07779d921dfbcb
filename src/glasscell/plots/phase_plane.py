"""The path of a layer's state in two principal components, among its fixed points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from glasscell.analysis import FixedPoints, PrincipalComponents
from glasscell.errors import InputError
from glasscell.plots.palette import LIGHT, Theme
from glasscell.plots.theme import colour_bar, framed, theme_of
from glasscell.plots.token_text import labels
from glasscell.tracing import LayerTrace

if TYPE_CHECKING:
    import plotly.graph_objects as go

# What a point does with the states near it, and the mark that says so.
MARKS = {
    "stable": ("circle", "stable: all come back"),
    "marginal": ("square", "marginal: some stay away"),
    "saddle": ("diamond", "saddle: some leave"),
    "unstable": ("x", "unstable: all leave"),
}


def phase_plane(
    components: PrincipalComponents,
    layer: LayerTrace,
    *,
    points: FixedPoints | None = None,
    tokens: Sequence[str] | None = None,
    axes: tuple[int, int] = (0, 1),
    b: int = 0,
    dark: bool = False,
) -> go.Figure:
    """The path of one sequence, a dot a step coloured from early to late, and fixed points.

    Both axes have the same scale, so that lengths and angles are those of the state, as far as
    these two components hold them: their share of the variance is on the axes.

    Args:
        components: what `analysis.principal_components` found.
        layer: the recorded layer to draw the path of.
        points: what `analysis.fixed_points` found, marked by their stability; slow points,
            which move a little, are open.
        tokens: (T,) what was read at each step, shown on hovering.
        axes: which two components, from 0.
        b: which sequence of the batch.
        dark: for dark pages.

    Raises:
        InputError: another number of tokens than steps, or components that are not there.

    Example:
        >>> components = analysis.principal_components(trace["l0"], k=2)
        >>> points = analysis.fixed_points(lstm, starts=trace["l0"])
        >>> figure = plots.phase_plane(components, trace["l0"], points=points)
    """
    import plotly.graph_objects as go

    k = len(components.directions)
    if len(axes) != 2 or not all(0 <= axis < k for axis in axes):
        raise InputError(f"axes: expected two of the components 0 to {k - 1}, got {axes}")
    path = components.sequence(layer, b)[:, list(axes)].cpu().numpy()  # (T, 2)
    T = len(path)
    if tokens is not None and len(tokens) != T:
        raise InputError(f"tokens: expected {T}, one for each step, got {len(tokens)}")
    theme = theme_of(dark)
    figure = go.Figure()
    framed(figure, theme, height=520)
    figure.add_scatter(
        x=path[:, 0],
        y=path[:, 1],
        mode="lines+markers",
        line={"color": theme.muted, "width": 0.5},
        marker={
            "size": 6,
            "color": np.arange(T),
            "colorscale": _pale_to_dark(theme),
            "colorbar": colour_bar(theme, [0, T - 1], ["0", f"step {T - 1}"]),
        },
        text=labels(tokens, T),
        customdata=np.arange(T),
        hovertemplate="step %{customdata} <b>%{text}</b><br>(%{x:.3f}, %{y:.3f})<extra></extra>",
        name="path",
        showlegend=False,
    )
    if points is not None:
        places = components.project(points)[:, list(axes)].cpu().numpy()
        _mark(figure, theme, points, places)
    shares = components.share.tolist()
    titles = [f"component {axis + 1} ({shares[axis]:.0%} of the variance)" for axis in axes]
    figure.update_xaxes(title_text=titles[0])
    figure.update_yaxes(title_text=titles[1], scaleanchor="x", scaleratio=1)
    figure.update_layout(
        margin={"l": 64, "b": 48, "t": 40},
        showlegend=points is not None and len(points) > 0,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
    )
    return figure


def _mark(figure: go.Figure, theme: Theme, points: FixedPoints, places: np.ndarray) -> None:
    """Adds the points, those of each stability and kind together."""
    speeds, starts = points.speed.tolist(), points.starts.tolist()
    unstable, turning = points.unstable.tolist(), (points.eigenvalues.imag != 0).any(-1).tolist()
    slowest = points.time_constants.max(-1).values.tolist()
    for is_fixed in (True, False):
        for stability, (symbol, meaning) in MARKS.items():
            chosen = [
                m
                for m, found in enumerate(points.stability)
                if found == stability and bool(points.fixed[m]) == is_fixed
            ]
            if not chosen:
                continue
            colour = theme.positive if stability in ("saddle", "unstable") else theme.surprise
            figure.add_scatter(
                x=places[chosen, 0],
                y=places[chosen, 1],
                mode="markers",
                marker={
                    "symbol": symbol if is_fixed else f"{symbol}-open",
                    "size": 13 if is_fixed else 9,
                    "color": colour,
                    "line": {"width": 1.5, "color": theme.ink if is_fixed else colour},
                },
                name=meaning if is_fixed else f"slow, {meaning}",
                customdata=[
                    [
                        f"{unstable[m]} unstable directions" + (", turning" * turning[m]),
                        f"{speeds[m]:.1e}",
                        f"{slowest[m]:.3g}",
                        starts[m],
                    ]
                    for m in chosen
                ],
                hovertemplate=f"<b>{'fixed' if is_fixed else 'slow'} point</b>, {meaning}<br>"
                "%{customdata[0]}<br>a step moves it %{customdata[1]}<br>longest time constant "
                "%{customdata[2]} steps<br>%{customdata[3]} searches ended here<extra></extra>",
            )


def _pale_to_dark(theme: Theme) -> list[list[float | str]]:
    """A scale for the order of steps, which stands out from the paper at both its ends."""
    late = "#08306b" if theme is LIGHT else "#deebf7"
    return [[0.0, "#a6cbe8" if theme is LIGHT else "#2b5f93"], [0.5, "#4292c6"], [1.0, late]]
