"""Spans over which several units are on together, found exactly among all that there are.

Which units are on at a step is kept as bits, so that what is on over a span is the AND of its
steps. Steps that follow one another with the same bits are one block. A span that cannot grow
without losing a unit begins where one of its units comes on, and ends where one goes off.
"""

from typing import NamedTuple

import numpy as np

WORD = 64  # bits


class Spans(NamedTuple):
    """Spans of rows, and the bits of the units that count there."""

    start: np.ndarray  # (K,)
    stop: np.ndarray  # (K,) the row after the last
    on: np.ndarray  # (K, W)
    overlap: np.ndarray  # (K,) how many bits of each are set


def pack(on: np.ndarray) -> np.ndarray:
    """(n, S) booleans -> (n, W) words of 64 bits."""
    n, S = on.shape
    W = -(-S // WORD)
    if S < W * WORD:
        wide = np.zeros((n, W * WORD), dtype=bool)
        wide[:, :S] = on
        on = wide
    return np.packbits(on.reshape(-1), bitorder="little").view(np.uint64).reshape(n, W)


def unpack(words: np.ndarray, S: int) -> np.ndarray:
    """(n, W) words -> (n, S) booleans."""
    bytes_ = np.ascontiguousarray(words).view(np.uint8)
    return np.unpackbits(bytes_, axis=1, bitorder="little")[:, :S].astype(bool)


def count(words: np.ndarray) -> np.ndarray:
    """(n, W) words -> (n,) how many bits are set."""
    if hasattr(np, "bitwise_count"):  # numpy 2
        return np.bitwise_count(words).sum(1, dtype=np.int32)
    return _BITS_OF[np.ascontiguousarray(words).view(np.uint8)].sum(1, dtype=np.int32)


_BITS_OF = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint8)


def maximal_spans(
    bits: np.ndarray,
    counts: np.ndarray,
    offsets: np.ndarray,
    least: int,
    before: int = 0,
    after: int = 0,
) -> Spans:
    """All spans that cannot grow without losing a unit, with at least so many units.

    A unit counts for the span a .. b - 1 of one sequence if it is on at each of its steps, off at
    the `before` steps before a, and off at the `after` steps from b. Before a sequence's first
    step and after its last every unit is off. The span is among those returned if at least
    `least` units count for it, and neither a - 1 .. b - 1 nor a .. b, where the sequence has
    them, keeps them all.

    Args:
        bits: (N, W) which units are on at each row.
        counts: (N,) how many.
        offsets: (B + 1,) the first row of each sequence, and N.
        least: from 1.
    """
    # No span with so many units goes through a row with fewer.
    live = np.flatnonzero(counts >= least)
    if not len(live):
        return no_spans(bits.shape[1])
    is_first = np.zeros(len(counts) + 1, dtype=bool)
    is_first[offsets] = True
    follows = np.empty(len(live), dtype=bool)  # whether the row before is live, and its sequence's
    follows[0] = False
    follows[1:] = (np.diff(live) == 1) & ~is_first[live[1:]]
    mask = bits[live]
    changes = ~follows
    changes[1:] |= (mask[1:] != mask[:-1]).any(1)
    begins = np.flatnonzero(changes)
    first, mask, follows = live[begins], mask[begins], follows[begins]
    stop = live[np.append(begins[1:], len(live)) - 1] + 1
    # What the blocks on both sides have on. A row that is not live has too few units on to keep
    # all of any span's, so it may stand as one with none.
    previous = np.zeros_like(mask)
    previous[1:] = mask[:-1]
    previous[~follows] = 0
    following = np.zeros_like(mask)
    following[:-1] = np.where(follows[1:, None], mask[1:], 0)
    rises = mask & ~previous
    held = mask.copy()
    if before:
        rises = held = mask & ~_near(bits, is_first, first, before, -1)
    stays_off = ~_near(bits, is_first, stop, after, 1) if after else None

    found: list[Spans] = []
    s = np.flatnonzero(rises.any(1) & (count(held) >= least))  # the block where each span begins
    e, held = s, held[s]
    while len(s):
        on = held if stays_off is None else held & stays_off[e]
        overlap = count(on)
        whole = overlap >= least
        if not before:
            whole &= (on & rises[s]).any(1)
        if not after:
            whole &= (on & ~following[e]).any(1)
        found.append(Spans(first[s[whole]], stop[e[whole]], on[whole], overlap[whole]))
        held = held & following[e]
        goes_on = (count(held) >= least) & (held & rises[s]).any(1)
        s, e, held = s[goes_on], e[goes_on] + 1, held[goes_on]
    return Spans(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _near(
    bits: np.ndarray, is_first: np.ndarray, rows: np.ndarray, steps: int, direction: int
) -> np.ndarray:
    """(K, W) what is on in any of the steps before each row (direction -1), or from it on (1),
    within its sequence.
    """
    on = np.zeros((len(rows), bits.shape[1]), dtype=bits.dtype)
    inside = np.ones(len(rows), dtype=bool)
    for k in range(steps):
        # Going back, the row just left must not be its sequence's first; going on, the row
        # reached must not be another's first, or N.
        edge = rows - k if direction < 0 else rows + k
        inside = inside & ~is_first[np.clip(edge, 0, len(bits))]
        if not inside.any():
            break
        at = edge[inside] - 1 if direction < 0 else edge[inside]
        on[inside] |= bits[at]
    return on


def best(spans: Spans, length: int, top: int, overlapping: bool) -> np.ndarray:
    """Which spans come first: most units, then nearest in length, then first in order.

    Args:
        length: the length to be near to.
        top: how many.
        overlapping: whether spans may share steps with those ranked above them.
    """
    off = np.abs(spans.stop - spans.start - length)
    order = np.lexsort((spans.stop, spans.start, off, -spans.overlap))
    if overlapping:
        return order[:top]
    chosen = np.empty(0, dtype=np.int64)
    for first in range(0, len(order), 4096):
        piece = order[first : first + 4096]
        apart = (spans.stop[piece, None] <= spans.start[chosen]) | (
            spans.start[piece, None] >= spans.stop[chosen]
        )
        piece = piece[apart.all(1)]
        while len(piece) and len(chosen) < top:
            k, piece = piece[0], piece[1:]
            chosen = np.append(chosen, k)
            apart = (spans.stop[piece] <= spans.start[k]) | (spans.start[piece] >= spans.stop[k])
            piece = piece[apart]
        if len(chosen) == top:
            break
    return chosen


def no_spans(W: int) -> Spans:
    empty = np.empty(0, dtype=np.int64)
    return Spans(empty, empty, np.empty((0, W), dtype=np.uint64), empty)
