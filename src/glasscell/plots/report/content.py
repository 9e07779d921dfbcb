"""What the page shows, as plain data: numbers, tokens, and how the figures look."""

import json
import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from glasscell.analysis import (
    Predictions,
    most_moved_cells,
    saturation,
    sigmoid_gates,
    swings,
    units_by_memory,
)
from glasscell.cells import LSTM, Custom
from glasscell.errors import InputError
from glasscell.plots.heatmap import heatmap_figure, is_gate, letter_of
from glasscell.plots.memory import memory_figure
from glasscell.plots.next_token import next_token_figure
from glasscell.plots.palette import Theme, look
from glasscell.plots.report.numbers import encoded, quantised
from glasscell.plots.saturation import saturation_figure
from glasscell.plots.unit_strips import unit_strips_figure
from glasscell.tracing import LayerTrace

LIVELIEST = 8  # units that the page offers to begin with
MOST_VALUES = 24_000_000  # that one page carries; a browser still opens it at once


def steps_shown(layers: Iterable[LayerTrace], T: int) -> int:
    """How many of T steps fit on one page, given how much is known about each."""
    per_step = sum(layer.hidden_size * len(layer.quantities) for layer in layers)
    return max(1, min(T, MOST_VALUES // max(1, per_step)))


def layer_content(name: str, layer: LayerTrace, b: int, steps: int) -> dict[str, Any]:
    """One layer: its values over the steps shown, and what was found over all steps."""
    quantities = {}
    for quantity in layer.quantities:
        values = layer.sequence(quantity, b)
        quantities[quantity] = {
            "letter": letter_of(layer, quantity),
            "gate": is_gate(layer, quantity),
            "mean": encoded(values[:steps].detach().double().mean(-1).cpu().numpy(), "<f4"),
            **quantised(values[:steps]),
        }
    found = saturation(layer) if sigmoid_gates(layer) else {}
    keeps = keeper_of(layer)
    memory = units_by_memory(layer) if keeps else []
    swing = swings(layer, b=b)
    moved = most_moved_cells(layer, top=4, b=b)
    return {
        "name": name,
        "kind": told_as(layer),
        "look": look_of(layer),
        "quantities": quantities,
        "saturation": {
            gate: {"left": _rounded(each.left), "right": _rounded(each.right)}
            for gate, each in found.items()
        },
        "keeps": keeps,
        # JSON has no infinity: null is a unit that never forgets.
        "memory": [[unit, span if math.isfinite(span) else None] for unit, span in memory],
        "moved": {
            "k": moved.units.shape[1],
            "units": encoded(moved.units[:steps].cpu().numpy(), "<u4"),
            "values": encoded(moved.values[:steps].float().cpu().numpy(), "<f4"),
        },
        "lively": swing.argsort(descending=True)[:LIVELIEST].tolist(),
        "swing": float(swing.max()),
    }


def told_as(layer: LayerTrace) -> str:
    """Which of the page's explanations hold for a layer: those of an "lstm", whose forget gate says
    what stays of the cell state; of a "gru", whose update gate says it of the hidden state; of an
    "rnn", of which nothing stays; of any "other" that keeps a state; or of a step of one's "own".
    """
    cell = layer.definition
    if isinstance(cell, Custom):
        return "own"
    if keeper_of(layer) is None:
        return "rnn"
    holds = layer.noise is not None and any(layer.noise.zoneout)
    if isinstance(cell, LSTM):
        gates = {"input_gate", "forget_gate", "output_gate"}
        return "lstm" if gates <= set(layer.quantities) and not (cell.sharing or holds) else "other"
    if cell.keeping_gate is None or holds:
        return "other"
    return "lstm" if cell.has_cell_state else "gru"


def keeper_of(layer: LayerTrace) -> str | None:
    """The gate in whose colour is shown what stays of the state: the one that says so, or the
    forget gate, whose place is taken where none does or one does by its complement. None where
    nothing stays.
    """
    cell = layer.definition
    if cell.carry(layer.record.gates) is None:  # type: ignore[arg-type]
        return None
    return "forget_gate" if cell.keeping_gate is None else cell.keeping_gate.name


def look_of(layer: LayerTrace) -> str:
    """A name that layers share whose figures look alike."""
    kinds = [f"{name}*" if is_gate(layer, name) else name for name in layer.quantities]
    return " ".join((*kinds, str(keeper_of(layer))))


def _rounded(shares: Any) -> list[float]:
    return [round(share, 4) for share in shares.tolist()]


def text_content(
    tokens: Sequence[str], predictions: Predictions, vocabulary: Sequence[str], steps: int
) -> dict[str, Any]:
    """The tokens, and what was expected after each."""
    surprise = predictions.surprise[:steps].cpu().numpy()
    return {
        "tokens": list(tokens[:steps]),
        "upcoming": tokens[steps] if steps < len(tokens) else None,
        "total": len(tokens),
        "vocabulary": list(vocabulary),
        "guesses": {
            "k": predictions.tokens.shape[1],
            "tokens": encoded(predictions.tokens[:steps].cpu().numpy(), "<u4"),
            "probabilities": encoded(predictions.probabilities[:steps].cpu().numpy(), "<f4"),
        },
        "surprise": encoded(surprise, "<f4"),
    }


def figure_looks(layers: Iterable[LayerTrace], theme: Theme) -> dict[str, Any]:
    """Every figure without its numbers, in one theme."""
    looks: dict[str, Any] = {"heatmap": {}, "strips": {}, "saturation": {}, "memory": {}}
    for layer in layers:
        kinds = tuple((quantity, is_gate(layer, quantity)) for quantity in layer.quantities)
        drawn = _looks_of_kind(kinds, sigmoid_gates(layer), keeper_of(layer) or "", theme)
        looks["heatmap"] |= drawn["heatmap"]
        for figure in ("strips", "saturation", "memory"):
            looks[figure][look_of(layer)] = drawn[figure]
    return looks | {"next": _next_token_look(theme)}


@cache  # plotly takes a second to check what never changes
def _looks_of_kind(
    kinds: tuple[tuple[str, bool], ...], gates: tuple[str, ...], keeps: str, theme: Theme
) -> dict[str, Any]:
    """The figures of one kind of layer: its quantities, and which of them are gates."""
    return {
        "heatmap": {
            quantity: plain(heatmap_figure(quantity, theme, is_gate=gate))
            for quantity, gate in kinds
        },
        "strips": plain(unit_strips_figure(dict(kinds), theme)),
        "saturation": plain(saturation_figure(gates, theme)),
        "memory": plain(memory_figure(keeps, theme)),
    }


@cache
def _next_token_look(theme: Theme) -> Any:
    return plain(next_token_figure(theme))


def plain(figure: Any) -> Any:
    return json.loads(figure.to_json())


def quantity_looks(layers: Sequence[LayerTrace]) -> dict[str, Any]:
    """Names and meanings of all quantities that occur."""
    names = dict.fromkeys(quantity for layer in layers for quantity in layer.quantities)
    return {
        name: {
            "label": look(name).label,
            "meaning": look(name).meaning,
            "unbounded": look(name).unbounded,
        }
        for name in names
    }


def check_steps(layers: Iterable[tuple[str, LayerTrace]], b: int, T: int) -> None:
    """Every layer must have seen the text that is shown.

    Raises:
        InputError: a layer has another number of steps than there are tokens.
    """
    for name, layer in layers:
        steps = len(layer.sequence("hidden", b))
        if steps != T:
            raise InputError(f"trace: expected {T} steps, one a token; {name} has {steps}")
