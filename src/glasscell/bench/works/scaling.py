"""How time grows with the steps, the batch, the layer and the threads."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from glasscell.bench.comparison import Comparison, Row
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject, side_by_side

B, H = 32, 256
AXES = {
    "T": (1, 10, 100, 1000),
    "B": (1, 4, 16, 64),
    "H": (64, 128, 256, 512),
}


def inference(scale: Scale) -> Iterator[Comparison]:
    """LSTM inference in float32, one size at a time made larger."""
    return _along_axes(scale, trained=False)


def training(scale: Scale) -> Iterator[Comparison]:
    """LSTM training steps in float32, the same."""
    return _along_axes(scale, trained=True)


def growth(rows: Sequence[Row]) -> list[str]:
    """For each axis, by how much our time grew from one size to the next."""
    told = []
    for axis in (*AXES, "threads"):
        along = [row for row in rows if row.times and row.case.split()[0] == axis]
        grew = [f"{b.ours / a.ours:.2f}" for a, b in pairwise(along)]
        if grew:
            sizes = ", ".join(row.case.split()[1] for row in along)
            told.append(f"{axis} {sizes}: the time of each over that before, {', '.join(grew)}")
    return told


def _along_axes(scale: Scale, *, trained: bool) -> Iterator[Comparison]:
    [(batch, units)] = scale.grid((B,), (H,))[:1]
    middle = Subject(batch, units, scale.T, trained=trained)
    for axis, sizes in AXES.items():
        for size in scale.some(sizes):
            yield side_by_side(replace(middle, **{axis: size}), case=f"{axis} {size}")
    for threads in thread_counts():
        yield side_by_side(middle, case=f"threads {threads}", threads=threads)


def thread_counts() -> list[int]:
    """1, 2, 4, ... up to what the machine has."""
    cores = os.cpu_count() or 1
    return [n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256) if n <= cores]
