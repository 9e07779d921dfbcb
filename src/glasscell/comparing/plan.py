"""What is compared, written down before anything is trained, so that it can be gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glasscell.comparing.folder import PLAN
from glasscell.comparing.models import Size
from glasscell.comparing.trainings.timed import Limit
from glasscell.errors import UserError
from glasscell.files import write_file

FORMAT = 1


@dataclass(frozen=True)
class ComparisonPlan:
    """A comparison before its first training.

    Attributes:
        workload: the description of what is trained on.
        cells: by name; the first is what all are compared with.
        seeds: of weights and of the order of the data.
        hidden: units of the first cell; the others have as many as give nearly the same number of
            parameters.
        sizes: of each cell.
        limit: of each training.
        budget: seconds of wall-clock time that the whole comparison was given; None where updates
            are counted.
        tuning: seconds of processor time (or, where updates are counted, trials) for choosing the
            options of each cell; 0 for none.
    """

    workload: dict[str, Any]
    cells: tuple[str, ...]
    seeds: tuple[int, ...]
    hidden: int
    sizes: dict[str, Size]
    limit: Limit
    budget: float | None
    tuning: float = 0.0

    @property
    def fingerprint(self) -> str:
        """What a training must share with another to be compared with it: all but which cells
        and seeds there are."""
        shared = {
            "workload": self.workload,
            "hidden": self.hidden,
            "limit": asdict(self.limit),
            "tuning": self.tuning,
        }
        return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:16]

    def write(self, folder: Path) -> None:
        """Writes it into a comparison's folder, whole or not at all."""
        data = json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"
        write_file(folder / PLAN, data.encode())

    @classmethod
    def read(cls, folder: Path) -> ComparisonPlan:
        """The plan in a folder.

        Raises:
            UserError: there is none, or it is damaged.
        """
        try:
            plain = json.loads((folder / PLAN).read_bytes())
            if plain.pop("format") != FORMAT:
                raise UserError(f"{folder} was written by another version of Glasscell")
            return cls(
                **{
                    **plain,
                    "cells": tuple(plain["cells"]),
                    "seeds": tuple(plain["seeds"]),
                    "sizes": {cell: Size(**size) for cell, size in plain["sizes"].items()},
                    "limit": Limit(**plain["limit"]),
                }
            )
        except FileNotFoundError:
            raise UserError(f"there is no comparison in {folder} to go on with") from None
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{folder / PLAN} is damaged: {error}") from None

    def extended(self, cells: Sequence[str] | None, seeds: Sequence[int] | None) -> ComparisonPlan:
        """The same with more cells and more seeds; what was there stays."""
        return replace(
            self,
            cells=tuple(dict.fromkeys((*self.cells, *(cells or ())))),
            seeds=tuple(sorted({*self.seeds, *(seeds or ())})),
        )
