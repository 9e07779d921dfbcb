"""How each surprise reaches back, as the page carries it: all pairs of a window, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from torch import Tensor

from glasscell.analysis import SurpriseFlow
from glasscell.plots.palette import Theme, gate_scale, look
from glasscell.plots.report.numbers import encoded
from glasscell.plots.theme import colour_bar, framed

DECADES = 4  # of the colour scale: from the strongest down to a ten-thousandth


def flow_content(flow: SurpriseFlow | str, names: Sequence[str], steps: int) -> dict[str, Any]:
    """The window and, for each layer by name, the norms as rows of a triangle.

    Args:
        flow: what was found, or why there is none.
        names: of the layers on the page.
        steps: shown on the page; a window beyond them is left out, and that is said.
    """
    if isinstance(flow, str):
        return {"reason": flow}
    if flow.start + flow.steps > steps:
        return {"reason": "Its window lies beyond the steps that this page shows."}
    layers = {}
    for name in names:
        found = flow.layers.get(name)
        if found is None:
            continue
        norms = {
            "cell": found.cell,
            "hidden": found.hidden,
            "carried": found.carried,
            "through_gates": found.through_gates,
        }
        layers[name] = {key: _triangle(v) for key, v in norms.items() if v is not None}
    surprise = flow.surprise.numpy()
    return {
        "start": flow.start,
        "steps": flow.steps,
        # The most surprising token that has a past to reach back to.
        "first": 1 + int(np.nanargmax(np.where(np.isnan(surprise), 0, surprise)[1:])),
        "layers": layers,
    }


def _triangle(norms: Tensor) -> str:
    """The rows s = 1 .. W - 1, each with its s columns t < s, one after the other."""
    values = norms.numpy()
    rows, columns = np.tril_indices(len(values), -1)
    return encoded(values[rows, columns], "<f4")


def ways(theme: Theme, state: str, keeper: str | None) -> dict[str, dict[str, str]]:
    """What is drawn of a layer: in words, and in which colour.

    Args:
        state: that carries its memory, "cell" or "hidden".
        keeper: the gate in whose colour is shown what stays of it, if anything does.
    """
    hidden = _way("|dL/dh|, the hidden state", "hidden", look("hidden").colour(theme))
    cell = _way("|dL/dc|, the cell state", "cell", look("cell").colour(theme))
    own = {"cell": cell, "hidden": hidden} if state == "cell" else {"hidden": hidden}
    if keeper is None:
        return own
    name = "cell state" if state == "cell" else "state"
    return {
        **own,
        "carried": _way(f"along the {name} (carousel)", keeper, look(keeper).colour(theme)),
        "through_gates": _way("through h and the gates", "muted", theme.muted),
    }


def _way(label: str, own: str, colour: str) -> dict[str, str]:
    """
    Args:
        own: the name of its colour among the page's.
    """
    return {"label": label, "own": own, "colour": colour}


@cache
def flow_lines(state: str, keeper: str | None, theme: Theme) -> Any:
    """Norms by distance, without their numbers: one line for each way."""
    import plotly.graph_objects as go

    figure = go.Figure()
    framed(figure, theme, height=320)
    for name, way in ways(theme, state, keeper).items():
        whole = name in ("cell", "hidden")
        figure.add_scatter(
            x=[],
            y=[],
            mode="lines+markers" if whole else "lines",
            name=way["label"],
            meta=name,
            line={
                "color": way["colour"],
                "width": 4 if name == state else 1.8,
                "dash": "solid" if whole else "dash",
            },
            marker={"size": 6 if name == state else 3},
            hovertemplate="%{customdata}<br>%{data.name} <b>%{y:.3g}</b><extra></extra>",
        )
    figure.update_xaxes(title_text="tokens back from the surprise", rangemode="tozero")
    figure.update_yaxes(
        type="log", title_text="bits per unit of the state (log scale)", exponentformat="power"
    )
    figure.update_yaxes(tickfont_size=9)  # powers are drawn larger than other numbers
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        margin={"t": 40, "l": 66, "b": 44},
        dragmode=False,
    )
    return figure


@cache
def flow_map(theme: Theme) -> Any:
    """All pairs without their numbers: rows are surprises, columns the states before them."""
    import plotly.graph_objects as go

    ends = ["1/10⁴", "1/100", "strongest"]
    figure = go.Figure(
        go.Heatmap(
            z=[],
            zmin=-DECADES,
            zmax=0,
            colorscale=gate_scale(look("cell").colour(theme), theme),
            colorbar=colour_bar(theme, [-DECADES, -DECADES / 2, 0], ends),
            hoverongaps=False,
            hovertemplate="%{text}<br><b>%{customdata:.3g}</b><extra></extra>",
        )
    )
    framed(figure, theme, height=460)
    figure.update_xaxes(title_text="state after step", showgrid=False)
    figure.update_yaxes(title_text="surprise at step", showgrid=False, autorange="reversed")
    figure.update_layout(dragmode=False)
    return figure
