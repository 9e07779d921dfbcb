"""Running the bench: the works asked for, one after the other, and all their figures as data."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from glasscell.bench import machine
from glasscell.bench.catalogue import GROUPS, WORKS, Work
from glasscell.bench.comparison import Row
from glasscell.bench.goals import Verdict
from glasscell.bench.runtimes import missing
from glasscell.bench.scale import Scale
from glasscell.errors import UserError
from glasscell.files import write_file

FORMAT = 1  # of the file with all figures; goes up when a figure changes its name or meaning


@dataclass(frozen=True)
class Outcome:
    """What came of one work.

    Attributes:
        rows: in the order in which they were measured.
    """

    work: Work
    rows: tuple[Row, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        return None if self.work.goal is None else self.work.goal.judge(self.rows)

    @property
    def wrong(self) -> list[Row]:
        """The rows in which ours computed something else."""
        return [row for row in self.rows if row.wrong is not None]


def works(groups: Sequence[str] = GROUPS) -> list[Work]:
    """The works of some groups.

    Raises:
        UserError: a group that is not there.
    """
    if unknown := [group for group in groups if group not in GROUPS]:
        raise UserError(f"only: expected some of {', '.join(GROUPS)}, got {', '.join(unknown)!r}")
    return [work for work in WORKS if work.group in groups]


def measure(work: Work, scale: Scale, progress: Callable[[str], None] = print) -> Outcome:
    """Measures one work.

    Args:
        progress: is told each case before it is measured.
    """
    torch.manual_seed(0)
    rows = []
    with warnings.catch_warnings():
        # torch's word on its own slow paths, which is what the figures are about
        warnings.filterwarnings("ignore", "LSTM with projections is not supported")
        for case in work.cases(scale):
            progress(case.case)
            rows.append(case.measure(scale.budget * work.budget, scale.rounds))
    return Outcome(work, tuple(rows))


def peak(row: Row) -> float | None:
    """FLOP/s of the fastest matrix product that torch has in a row's dtype and threads."""
    if row.flops is None or not row.times:
        return None
    return machine.product_peak(row.dtype, row.threads)


def fraction_of_peak(row: Row) -> float | None:
    """Our speed as a part of that of the matrix product."""
    best = peak(row)
    return None if best is None or row.flops is None else row.flops / row.ours / best


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """So many threads for torch while the block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class Report:
    """Every figure of one run."""

    scale: Scale
    machine: dict[str, Any] = field(default_factory=machine.describe)
    missing: list[str] = field(default_factory=missing)
    outcomes: list[Outcome] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain data; times are seconds for one call."""
        return {
            "format": FORMAT,
            "machine": self.machine,
            "missing_peers": self.missing,
            "scale": asdict(self.scale),
            "works": [_work(outcome) for outcome in self.outcomes],
        }

    def write(self, path: Path) -> None:
        """Writes them as JSON, whole or not at all.

        Raises:
            WriteError: the file cannot be written.
        """
        text = json.dumps(self.as_dict(), indent=1, allow_nan=False, ensure_ascii=False)
        write_file(path, text.encode())


def _work(outcome: Outcome) -> dict[str, Any]:
    work, verdict = outcome.work, outcome.verdict
    goal = work.goal
    return {
        "group": work.group,
        "name": work.name,
        "against": work.against,
        "goal": None
        if goal is None
        else {
            "measure": goal.measure.value,
            "geometric_mean": goal.mean,
            "each": goal.each,
            "aim": goal.aim,
        },
        "verdict": None
        if verdict is None
        else {
            "geometric_mean": verdict.mean,
            "worst": verdict.worst,
            "worst_case": verdict.worst_case,
            "rows_short": verdict.short,
            "met": verdict.met,
            "aim_met": verdict.aim_met,
            "text": str(verdict),
        },
        "rows": [_row(row) for row in outcome.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "case": " ".join(row.case.split()),
        "shape": row.shape,
        "dtype": str(row.dtype).removeprefix("torch."),
        "threads": row.threads,
        "engine": row.engine,
        "seconds": {name: asdict(times) for name, times in row.times.items()},
        "fastest_rival": row.fastest,
        "ratio": row.ratio,
        "flops": row.flops,
        "product_peak": peak(row),
        "fraction_of_peak": fraction_of_peak(row),
        "left_out": row.left_out,
        "wrong": row.wrong,
        "note": row.note,
    }
