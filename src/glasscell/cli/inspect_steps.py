"""One layer, step by step: as a table for the terminal and as plain data for JSON."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from typing import Any

from glasscell.analysis import (
    Predictions,
    Ranked,
    extreme_gates,
    most_moved_cells,
    predictions,
    units_by_memory,
)
from glasscell.cells import spec
from glasscell.cli.reading import Reading, token_text
from glasscell.tracing import LayerTrace

WIDE = 118  # columns that the table needs to show values beside unit numbers
WITHOUT_TERMINAL = 132  # columns, where there is no terminal to ask


@dataclass(frozen=True)
class Steps:
    """What the table and the JSON say of one layer, step by step."""

    layer: LayerTrace
    letters: dict[str, str]
    guesses: Predictions
    open: dict[str, Ranked]
    shut: dict[str, Ranked]
    moved: Ranked

    @classmethod
    def of(cls, reading: Reading, name: str, top: int) -> Steps:
        layer = reading.trace[name]
        gates = extreme_gates(layer, top)
        return cls(
            layer=layer,
            letters={gate.name: gate.letter for gate in layer.gate_maps},
            guesses=predictions(reading.logits, reading.ids, top=5),
            open={gate: found.open for gate, found in gates.items()},
            shut={gate: found.shut for gate, found in gates.items()},
            moved=most_moved_cells(layer, top=top + 1),
        )


def as_dict(reading: Reading, name: str, top: int) -> dict[str, Any]:
    steps = Steps.of(reading, name, top)
    decoded = [token_text(reading.model, v) for v in range(len(reading.model.vocabulary))]

    def finite(number: float) -> float | None:
        return number if math.isfinite(number) else None  # JSON has no infinity and no NaN

    def units(ranked: Ranked, t: int) -> list[dict[str, Any]]:
        pairs = zip(ranked.units[t].tolist(), ranked.values[t].tolist(), strict=True)
        return [{"unit": unit, "value": finite(value)} for unit, value in pairs]

    def step(t: int) -> dict[str, Any]:
        guesses = zip(
            steps.guesses.tokens[t].tolist(), steps.guesses.probabilities[t].tolist(), strict=True
        )
        return {
            "step": t,
            "token": decoded[int(reading.ids[t])],
            "surprise_bits": finite(float(steps.guesses.surprise[t])),
            "next": [{"token": decoded[v], "probability": finite(p)} for v, p in guesses],
            "open": {gate: units(ranked, t) for gate, ranked in steps.open.items()},
            "shut": {gate: units(ranked, t) for gate, ranked in steps.shut.items()},
            "moved": units(steps.moved, t),
        }

    memory = units_by_memory(steps.layer) if steps.layer.carry() else []
    return {
        "layer": name,
        "cell": spec.shortest(steps.layer.definition),
        "units": steps.layer.hidden_size,
        "tokens_read": len(reading.ids),
        "tokens_in_text": reading.total,
        "bits_per_character": reading.bits_per_character,
        "memory": [{"unit": unit, "steps": finite(span)} for unit, span in memory],
        "steps": [step(t) for t in range(len(reading.ids))],
    }


def print_table(reading: Reading, name: str, top: int, rows: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as Cell

    is_told = sys.stdout.isatty() or "COLUMNS" in os.environ
    width = None if is_told else WITHOUT_TERMINAL
    console = Console(width=width, highlight=False)
    steps = Steps.of(reading, name, top)
    T, label = len(reading.ids), reading.model.vocabulary.label
    shown = T if rows == 0 else min(rows, T)
    with_values = console.width >= WIDE

    def gates(ranked: dict[str, Ranked], t: int) -> Cell:
        words = [
            f"{steps.letters[gate]}{unit}" + (f" {value:.2f}" if with_values else "")
            for gate, each in ranked.items()
            for unit, value in zip(each.units[t].tolist(), each.values[t].tolist(), strict=True)
        ]
        return Cell("  ".join(words))

    def moved(t: int) -> Cell:
        pairs = zip(steps.moved.units[t].tolist(), steps.moved.values[t].tolist(), strict=True)
        return Cell("  ".join(f"{unit} {value:+.2f}".replace("-", "−") for unit, value in pairs))

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("step", justify="right", style="dim")
    table.add_column("token", style="bold")
    table.add_column("bits", justify="right")
    table.add_column("expects next")
    if steps.open:
        table.add_column("most open", style="green")
        table.add_column("most shut", style="red")
    table.add_column(
        "cells that moved" if steps.layer.definition.has_cell_state else "units that moved"
    )
    for t in range(shown):
        bits = float(steps.guesses.surprise[t])
        guess, p = int(steps.guesses.tokens[t, 0]), float(steps.guesses.probabilities[t, 0])
        extremes = [gates(steps.open, t), gates(steps.shut, t)] if steps.open else []
        table.add_row(
            str(t),
            Cell(label(int(reading.ids[t]))),
            "" if bits != bits else f"{bits:.1f}",
            Cell(f"{label(guess)} {p:.0%}"),
            *extremes,
            moved(t),
        )
    console.print(f"{name}, {_cell_told(steps.layer)}, {steps.layer.hidden_size} units")
    console.print(table)
    for line in _below_table(reading, steps, shown):
        console.print(line, markup=False, soft_wrap=True)


def _below_table(reading: Reading, steps: Steps, shown: int) -> list[str]:
    """What is left out, and what holds over all steps."""
    T, lines = len(reading.ids), []
    if shown < T:
        lines.append(f"The first {shown:,} of {T:,} steps; see more with --rows N (0 for all).")
    if reading.total > T:
        lines.append(
            f"Only the first {T:,} of {reading.total:,} {reading.token}s were read; "
            "read more with --limit N."
        )
    if (bits := reading.bits_per_character) is not None:
        lines.append(f"{bits:.2f} bits per character on this text.")
    if steps.layer.carry():
        longest = units_by_memory(steps.layer, top=5)
        named = ", ".join(f"{unit} ({_three_digits(span)})" for unit, span in longest)
        lines.append(f"Longest memory: units {named}.")
    return lines


def _cell_told(layer: LayerTrace) -> str:
    known = spec.shortest(layer.definition)
    return known.upper() if known == layer.kind else known


def _three_digits(span: float) -> str:
    if math.isinf(span):
        return "never forgets"
    return f"{span:,.0f} steps" if span >= 100 else f"{span:.3g} steps"
