"""One finished training of a comparison, and its two files: numbers as JSON, and the weights."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glasscell.comparing.folder import RUNS
from glasscell.comparing.models import Size
from glasscell.comparing.trainings.timed import Look
from glasscell.files import write_file

MEMORY = ("memory_steps", "longest_steps")


@dataclass(frozen=True)
class Run:
    """How the training of one cell from one seed went.

    Attributes:
        cell, seed: of what.
        size: of the model.
        parameters: numbers trained.
        status: "done"; "diverged": loss or score left the finite numbers; "failed": the training
            ended with an error, or its process was killed.
        why: in words, where it is not "done".
        score: on the test part, of the weights that did best in validation; None if not "done".
        looks: validations on the way.
        updates: of the weights; of one that diverged, the number of the update at which it did.
        seconds: of processor time, in updates.
        wall_seconds: of wall-clock time, with all that is around the updates.
        training_speed, inference_speed: tokens a second of one thread.
        memory_steps: the median over units of how many steps they remember, by what multiplies
            their state (`glasscell.analysis.memory_span`); infinite where they never forget, None
            for a cell that writes its whole state anew at each step.
        longest_steps: the same of the unit that nine in ten remember less long than.
        learning_rate: the highest.
    """

    cell: str
    seed: int
    size: Size
    parameters: int
    status: str
    why: str = ""
    score: float | None = None
    looks: Sequence[Look] = ()
    updates: int = 0
    seconds: float = 0.0
    wall_seconds: float = 0.0
    training_speed: float | None = None
    inference_speed: float | None = None
    memory_steps: float | None = None
    longest_steps: float | None = None
    learning_rate: float | None = None

    @property
    def name(self) -> str:
        """What its files are called."""
        return file_name(self.cell, self.seed)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as in its JSON."""
        plain = asdict(self)
        return {**plain, **{name: memory_as_plain(plain[name]) for name in MEMORY}}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Run:
        """The run of plain data.

        Raises:
            KeyError, TypeError: it is no run.
        """
        looks = tuple(Look(**look) for look in plain["looks"])
        median, longest = (None if plain[name] is None else float(plain[name]) for name in MEMORY)
        if median is not None and longest is None:
            longest = math.inf  # as it was written before infinity had a text of its own
        size = Size(**plain["size"])
        return cls(
            **{**plain, "size": size, "looks": looks, "memory_steps": median,
               "longest_steps": longest}
        )  # fmt: skip


def memory_as_plain(steps: float | None) -> float | str | None:
    """How a memory stands in JSON, which has no infinity: "Infinity", and None for no memory."""
    return "Infinity" if steps == math.inf else steps


def file_name(cell: str, seed: int) -> str:
    """What the files of a run are called, before their ending."""
    return f"{re.sub(r'[^0-9A-Za-z_.=,()-]+', '_', cell)}-seed{seed}"


def write_run(folder: Path, run: Run, plan: str) -> None:
    """Writes the numbers of a run, whole or not at all; the weights are there before.

    Args:
        folder: the comparison's.
        plan: the fingerprint of what the run is a part of.
    """
    data = json.dumps({"plan": plan, **run.as_dict()}, indent=1) + "\n"
    write_file(folder / RUNS / f"{run.name}.json", data.encode())


def read_runs(folder: Path, plan: str) -> list[Run]:
    """The finished runs in a comparison's folder; those of another plan, and files that are no
    runs, are as if they were not there."""
    found = []
    for path in sorted((folder / RUNS).glob("*.json")):
        try:
            plain = json.loads(path.read_bytes())
            if plain.pop("plan") == plan:
                found.append(Run.of(plain))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found
