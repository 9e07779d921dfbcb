"""Peers side by side, in one run: `glasscell bench`, and all its figures from Python."""

from glasscell.bench.catalogue import GROUPS, WORKS, Work
from glasscell.bench.comparison import Comparison, Peer, Row, Times
from glasscell.bench.goals import Goal, Measure, Verdict, geometric_mean
from glasscell.bench.run import (
    Outcome,
    Report,
    fraction_of_peak,
    measure,
    peak,
    torch_threads,
    works,
)
from glasscell.bench.scale import Scale

__all__ = [
    "GROUPS",
    "WORKS",
    "Comparison",
    "Goal",
    "Measure",
    "Outcome",
    "Peer",
    "Report",
    "Row",
    "Scale",
    "Times",
    "Verdict",
    "Work",
    "fraction_of_peak",
    "geometric_mean",
    "measure",
    "peak",
    "torch_threads",
    "works",
]
