"""The example sentence, word by word: what each gate did that mattered most."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from glasscell.stories.france.reading import Read
from glasscell.tasks.france import VOCABULARY


@dataclass(frozen=True)
class Event:
    """What one unit did at one word, and how open its gate was."""

    unit: int
    amount: float
    gate: float


@dataclass(frozen=True)
class Word:
    """One word of the walk.

    Attributes:
        word: that was read.
        written: the unit into which most was written, i * g.
        forgotten: the unit that lost most of what it held, (1 - f) * c_{t-1}; None at the start,
            where there is nothing to lose.
        shown: the unit that shows most, o * tanh(c).
        expected: the likeliest next words, and their probabilities.
    """

    word: str
    written: Event
    forgotten: Event | None
    shown: Event
    expected: tuple[tuple[str, float], ...]


def walk(seen: Read, b: int = 0, top: int = 3) -> list[Word]:
    """Goes through sentence b of what the model has read."""
    layer = seen.layer
    i, f, g, o = (
        layer.sequence(name, b)  # (T, H)
        for name in ("input_gate", "forget_gate", "candidate", "output_gate")
    )
    c, h = layer.sequence("cell", b), layer.sequence("hidden", b)
    before = torch.cat((torch.zeros_like(c[:1]), c[:-1]))
    written, lost = i * g, (1 - f) * before
    words = []
    for t in range(len(c)):
        likeliest = seen.log_p[t, b].exp().topk(top)
        best = zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
        words.append(
            Word(
                word=VOCABULARY[int(seen.words[t, b])],
                written=_largest(written[t], i[t]),
                forgotten=_largest(lost[t], f[t]) if t else None,
                shown=_largest(h[t], o[t]),
                expected=tuple((VOCABULARY[k], p) for k, p in best),
            )
        )
    return words


def _largest(amounts: torch.Tensor, gate: torch.Tensor) -> Event:
    unit = int(amounts.abs().argmax())
    return Event(unit, float(amounts[unit]), float(gate[unit]))
