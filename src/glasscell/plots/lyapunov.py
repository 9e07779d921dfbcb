"""Lyapunov exponents, and how far their estimate has converged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glasscell.analysis import LyapunovSpectrum
from glasscell.errors import InputError
from glasscell.plots.theme import framed, theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go


def lyapunov_spectrum(
    spectrum: LyapunovSpectrum, *, shown: int = 6, dark: bool = False
) -> go.Figure:
    """The spectrum, and the running estimate of the largest exponents.

    On the left an exponent a point, with twice its standard error either way: red above 0, where
    small differences grow, blue below, where they are forgotten. On the right what the estimate
    would have been after fewer steps: it is to be trusted where it has become level.

    Args:
        spectrum: what `analysis.lyapunov_exponents` found. Directions that a step wipes out,
            with an exponent of -inf, are counted in the title and not drawn.
        shown: how many of the largest exponents to show the convergence of.
        dark: for dark pages.

    Raises:
        InputError: shown below 1.

    Example:
        >>> spectrum = analysis.lyapunov_exponents(lstm, x, warm_up=5)
        >>> figure = plots.lyapunov_spectrum(spectrum)
    """
    from plotly.subplots import make_subplots

    if shown < 1:
        raise InputError(f"shown: expected at least 1, got {shown}")
    theme = theme_of(dark)
    values = spectrum.exponents.cpu().numpy()
    errors = 2 * spectrum.standard_error.nan_to_num(0.0, 0.0, 0.0).cpu().numpy()
    finite = np.isfinite(values)
    colours = np.where(values > 0, theme.positive, theme.negative)
    lost = int((~finite).sum())
    spread = "Spectrum" + (f" ({lost} at −∞)" if lost else "")
    figure = make_subplots(
        cols=2, column_widths=[0.5, 0.5], subplot_titles=[spread, "Convergence"],
        horizontal_spacing=0.1,
    )  # fmt: skip
    framed(figure, theme, height=360)
    index = np.arange(1, len(values) + 1)
    figure.add_scatter(
        x=index[finite],
        y=values[finite],
        error_y={"array": errors[finite], "color": theme.muted, "thickness": 1, "width": 0},
        mode="markers",
        marker={"size": 7 if len(values) <= 64 else 4, "color": colours[finite]},
        customdata=errors[finite],
        hovertemplate="exponent <b>%{x}</b><br><b>%{y:.4f}</b> ± %{customdata:.4f} nats per step"
        "<extra></extra>",
        row=1,
        col=1,
    )
    running = spectrum.running.cpu().numpy()  # (T, k)
    steps = np.arange(1, len(running) + 1)
    for k in range(min(shown, len(values))):
        if finite[k]:
            figure.add_scatter(
                x=steps,
                y=running[:, k],
                mode="lines",
                line={"width": 2 if k == 0 else 1.2, "color": str(colours[k])},
                opacity=1 if k == 0 else 0.75 - 0.45 * k / shown,
                hovertemplate=f"exponent <b>{k + 1}</b> from %{{x}} steps<br><b>%{{y:.4f}}</b> "
                "nats per step<extra></extra>",
                row=1,
                col=2,
            )
    figure.add_hline(y=0, line={"color": theme.muted, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="exponent, largest first", col=1, showgrid=False)
    figure.update_xaxes(title_text="steps read after the warm-up", col=2, showgrid=False)
    figure.update_yaxes(title_text="nats per step", col=1)
    figure.update_layout(margin={"t": 36, "l": 64, "b": 48})
    for title in figure.layout.annotations:  # type: ignore[attr-defined]
        title.font = {"size": 13, "color": theme.ink}
    return figure
