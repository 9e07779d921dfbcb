"""Where else a pattern of units comes up: LSTMVis's select and match.

Strobelt, Gehrmann, Pfister and Rush 2018, "LSTMVis: A Tool for Visual Analysis of Hidden State
Dynamics in Recurrent Neural Networks", section 5 (arXiv 1606.07461).
"""

import math
import operator
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from glasscell.analysis.units.matches import LayerUnit, Matches, Span
from glasscell.analysis.units.rows import CHUNK, Rows, rows_of
from glasscell.analysis.units.spans import (
    WORD,
    Spans,
    best,
    count,
    maximal_spans,
    no_spans,
    pack,
    unpack,
)
from glasscell.analysis.whole_numbers import whole_number
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace, Trace

Source = LayerTrace | Tensor | np.ndarray


def match(
    layers: Source | Trace | Sequence[Source],
    steps: tuple[int, int] | slice,
    threshold: float,
    *,
    b: int = 0,
    quantity: str | None = None,
    before: int = 0,
    after: int = 0,
    top: int = 50,
    shortest: int = 1,
    longest: int | None = None,
    overlapping: bool = False,
    lengths: Tensor | Sequence[int] | None = None,
) -> Matches:
    """Finds the spans of steps in which the units that are on over a chosen span are on again.

    A unit is *on* at a step if its value is at least the threshold; with a negative threshold, if
    it is at most that. It *counts* for a span of one sequence if it is on at every step of it,
    off at the `before` steps just before, and off at the `after` steps just after. (Before a
    sequence's first step and after its last every unit is off.) The units that count for the
    chosen span are the *selected* ones, and the *overlap* of another span is how many of them
    count for it too.

    Candidates are all spans with an overlap that cannot be made longer by a step on either side
    without losing a unit of it. They are ranked by overlap, largest first; then by length,
    nearest to the chosen span's first; then by sequence and step. Spans that share a step with
    the chosen one are left out, and so are those that share one with a match ranked above them.
    The ranking is exact. It differs from LSTMVis's in the second key, which there is how few
    other units are on (here `extra`), and in that LSTMVis searches only runs in which the number
    of selected units on stays above a limit.

    Args:
        layers: a recorded layer; several, or a whole trace, all over the same sequences, whose
            units are then taken together; or the same as plain (N, H) arrays, which may be
            memory maps.
        steps: the chosen span, as (start, stop) or a slice: steps start to stop - 1.
        threshold: in the units of the quantity; compared as float32, or as float64 where the
            states are.
        b: the sequence in which the chosen span lies.
        quantity: what of each layer; its state if absent.
        before, after: over how many steps on each side a unit must be off; 0 asks for nothing.
        top: how many matches at most.
        shortest, longest: bounds for their lengths, in steps; no upper one if absent.
        overlapping: whether matches may share steps with one another.
        lengths: (B,) of plain arrays, the steps of each sequence, which lie one after the other;
            one sequence if absent.

    The states are read once, in pieces; a bit a step is kept for each selected unit.

    Returns:
        The matches, and which units are on in each.

    Raises:
        InputError: no unit is selected; layers that are not over the same sequences; a span
            that is not there.

    Example:
        >>> found = analysis.match(trace["l0"], (5, 8), threshold=0.05, top=3)
        >>> len(found)
        3
        >>> best = found.spans[0]  # a sequence, and the steps from start to stop - 1
        >>> int(found.overlap[0]) <= len(found.units)  # of so many selected units
        True
    """
    sources = _sources(layers, quantity, lengths)
    chosen = _span(steps, b, sources[0])
    threshold = _threshold(threshold)
    before, after = whole_number("before", before, 0), whole_number("after", after, 0)
    top, shortest = whole_number("top", top, 1), whole_number("shortest", shortest, 1)
    longest = longest if longest is None else whole_number("longest", longest, shortest)
    first = int(sources[0].offsets[chosen.sequence])
    query = (first + chosen.start, first + chosen.stop)
    selected = [
        np.flatnonzero(_counting(rows, query, threshold, before, after)) for rows in sources
    ]
    units = [
        LayerUnit(rows.name, int(unit))
        for rows, own in zip(sources, selected, strict=True)
        for unit in own
    ]
    if not units:
        raise InputError(_nothing_selected(sources, query, threshold, before, after))
    bits = np.hstack(
        [
            _bits(rows, own, threshold)
            for rows, own in zip(sources, selected, strict=True)
            if len(own)
        ]
    )
    counts = count(bits)
    offsets = sources[0].offsets

    def keep(spans: Spans) -> Spans:
        size = spans.stop - spans.start
        fits = (size >= shortest) & ((spans.stop <= query[0]) | (spans.start >= query[1]))
        fits &= True if longest is None else size <= longest
        return Spans(*(column[fits] for column in spans))

    spans, picked = no_spans(bits.shape[1]), np.empty(0, dtype=np.int64)
    for least in _levels(counts, max(4096, 64 * top)):
        spans = keep(maximal_spans(bits, counts, offsets, least, before, after))
        picked = best(spans, query[1] - query[0], top, overlapping)
        if len(picked) == top:  # those with fewer units would come after all of them
            break
    start, stop = spans.start[picked], spans.stop[picked]
    sequence = np.searchsorted(offsets, start, side="right") - 1
    extra = [
        sum(
            int(np.delete(_counting(rows, span, threshold, before, after), own).sum())
            for rows, own in zip(sources, selected, strict=True)
        )
        for span in zip(start.tolist(), stop.tolist(), strict=True)
    ]
    own_bits = _columns_of(selected)
    return Matches(
        chosen=chosen,
        units=tuple(units),
        sequence=torch.from_numpy(sequence),
        start=torch.from_numpy(start - offsets[sequence]),
        stop=torch.from_numpy(stop - offsets[sequence]),
        on=torch.from_numpy(unpack(spans.on[picked], bits.shape[1] * WORD)[:, own_bits]),
        overlap=torch.from_numpy(spans.overlap[picked].astype(np.int64)),
        extra=torch.tensor(extra, dtype=torch.int64),
        counts=torch.from_numpy(counts),
        lengths=torch.from_numpy(sources[0].lengths),
    )


def _levels(counts: np.ndarray, budget: int) -> Iterator[int]:
    """Numbers of units, falling to 1: spans with many units are few, and found among few rows, so
    they are looked for first. Each level lets in about eight times as many rows as the last.
    """
    rows = np.bincount(counts)[::-1].cumsum()[::-1]  # rows with so many units on, or more
    level = len(rows)
    while level > 1:
        fitting = np.flatnonzero(rows[1:level] <= budget)
        level = int(fitting[0]) + 1 if len(fitting) else level - 1
        yield level
        budget = 8 * max(budget, int(rows[level]))


def _columns_of(selected: list[np.ndarray]) -> np.ndarray:
    """(S,) the bit of each selected unit: each layer's begin at a whole word."""
    words = [-(-len(own) // WORD) for own in selected]
    first = WORD * (np.cumsum(words) - words)
    return np.concatenate(
        [at + np.arange(len(own)) for at, own in zip(first, selected, strict=True)]
    )


def _bits(rows: Rows, units: np.ndarray, threshold: float) -> np.ndarray:
    """(N, W) which of some units are on at each step, packed, sequence by sequence."""
    index = torch.from_numpy(units)
    words = np.empty((rows.N, -(-len(units) // WORD)), dtype=np.uint64)
    for part, values in rows.pieces(index):
        words[part] = pack(_is_on(values, threshold).numpy())
    return words if rows.places is None else words[rows.places]


def _is_on(values: Tensor, threshold: float) -> Tensor:
    return values <= threshold if threshold < 0 else values >= threshold


def _counting(
    rows: Rows, span: tuple[int, int], threshold: float, before: int, after: int
) -> np.ndarray:
    """(H,) which units count for a span of rows."""
    start, stop = span
    sequence = int(np.searchsorted(rows.offsets, start, side="right")) - 1
    first, end = rows.offsets[sequence], rows.offsets[sequence + 1]
    counts = torch.ones(rows.H, dtype=torch.bool)
    piece = max(1, CHUNK // rows.H)
    for at in range(start, stop, piece):
        part = rows.at(np.arange(at, min(at + piece, stop)))
        counts &= _is_on(rows.read(part), threshold).all(0)
    for low, high in ((max(start - before, first), start), (stop, min(stop + after, end))):
        if low < high:
            part = rows.at(np.arange(low, high))
            counts &= ~_is_on(rows.read(part), threshold).any(0)
    return counts.numpy()


def _sources(
    layers: Source | Trace | Sequence[Source],
    quantity: str | None,
    lengths: Tensor | Sequence[int] | None,
) -> list[Rows]:
    if isinstance(layers, Trace):
        given: list[Source] = [layer for _, layer in layers.items()]
    elif isinstance(layers, LayerTrace | Tensor | np.ndarray):
        given = [layers]
    else:
        given = list(layers)
    if not given:
        raise InputError("layers: expected at least one, got none")
    sources = [rows_of(each, quantity, lengths) for each in given]
    for rows in sources[1:]:
        if not np.array_equal(rows.lengths, sources[0].lengths):
            raise InputError(
                "layers: expected all over the same sequences, got "
                f"{sources[0].N} steps in {sources[0].name or 'the first'} and {rows.N} in "
                f"{rows.name or 'another'}, or other lengths"
            )
    return sources


def _span(steps: tuple[int, int] | slice, b: int, rows: Rows) -> Span:
    b = whole_number("b", b, -rows.B, rows.B - 1, ", a sequence of the batch") % rows.B
    T = int(rows.lengths[b])
    try:
        if isinstance(steps, slice):
            start, stop, stride = steps.indices(T)
        else:
            (start, stop), stride = map(operator.index, steps), 1
    except (TypeError, ValueError):
        raise InputError(f"steps: expected (start, stop) or a slice, got {steps!r}") from None
    if stride != 1:
        raise InputError(f"steps: expected steps that follow one another, got {steps}")
    if not 0 <= start < stop <= T:
        raise InputError(
            f"steps: expected (start, stop) with 0 <= start < stop <= {T}, the steps of sequence "
            f"{b}, got {steps}"
        )
    return Span(b, start, stop)


def _threshold(given: float) -> float:
    try:
        threshold = float(given)
    except (TypeError, ValueError):
        threshold = math.nan
    if isinstance(given, str) or not math.isfinite(threshold):
        raise InputError(f"threshold: expected a number, got {given!r}")
    return threshold


def _nothing_selected(
    sources: list[Rows], span: tuple[int, int], threshold: float, before: int, after: int
) -> str:
    sign = "at most" if threshold < 0 else "at least"
    said = f"threshold: no unit is {sign} {threshold} over all of the chosen steps"
    if any(_counting(rows, span, threshold, 0, 0).any() for rows in sources):
        return f"{said} and off for {before} steps before and {after} after"
    part = np.arange(*span)
    values = [rows.read(rows.at(part)) for rows in sources]
    values = [v[:, ~v.isnan().any(0)] for v in values]  # NaN is near to nothing
    values = [v for v in values if v.shape[1]]
    if not values:
        return f"{said}; every unit holds NaN there"
    reach = min if threshold < 0 else max
    nearest = reach(
        float(v.amax(0).min()) if threshold < 0 else float(v.amin(0).max()) for v in values
    )
    return f"{said}; the unit that comes nearest reaches {nearest:.4g}"
