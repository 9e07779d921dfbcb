"""What somebody asked to be compared, checked; and the plan that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glasscell.comparing.models import cells_named
from glasscell.comparing.plan import ComparisonPlan
from glasscell.comparing.questions import BASE
from glasscell.comparing.times_in_words import seconds_of
from glasscell.comparing.trainings.timed import Limit
from glasscell.comparing.workloads import Workload
from glasscell.errors import UserError

CELLS = (BASE, "peephole", "coupled", "no_forget_gate", "gru", "rnn")
SEEDS = 5
BUDGET = "10m"
HIDDEN = 64
MOST_SEEDS, MOST_HIDDEN, MOST_STEPS = 1000, 16_384, 10**9


@dataclass(frozen=True)
class Request:
    """What is asked of a comparison; None of anything that was not said.

    Attributes:
        cells: by name, the plain LSTM first.
        seeds: of each cell.
        budget: seconds of wall-clock time, for everything.
        steps: updates of each training.
        hidden: units of the plain LSTM.
        tune: whether options are chosen by trials.
    """

    cells: tuple[str, ...] | None
    seeds: tuple[int, ...] | None
    budget: float | None
    steps: int | None
    hidden: int | None
    tune: bool | None

    @classmethod
    def checked(
        cls,
        *,
        cells: Sequence[str] | str | None,
        seeds: int | None,
        budget: str | float | None,
        steps: int | None,
        hidden: int | None,
        tune: bool | None,
    ) -> Request:
        """The request of what `glasscell.compare` takes.

        Raises:
            UserError: something that cannot be, or that excludes something else.
        """
        if budget is not None and steps is not None:
            raise UserError("budget and steps: give one of the two")
        check_number("seeds", seeds, MOST_SEEDS)
        check_number("steps", steps, MOST_STEPS)
        check_number("hidden", hidden, MOST_HIDDEN)
        return cls(
            cells=None if cells is None else cells_named(cells),
            seeds=None if seeds is None else tuple(range(seeds)),
            budget=None if budget is None else seconds_of(budget, "budget"),
            steps=steps,
            hidden=hidden,
            tune=tune,
        )

    def new_plan(self, workload: Workload) -> ComparisonPlan:
        """The plan of a new comparison, before cells are sized and time is shared out."""
        budget = None if self.steps is not None else self.budget or seconds_of(BUDGET)
        return ComparisonPlan(
            workload=workload.description,
            cells=self.cells or CELLS,
            seeds=self.seeds or tuple(range(SEEDS)),
            hidden=self.hidden or HIDDEN,
            sizes={},
            limit=Limit(steps=self.steps),
            budget=budget,
            tuning=float(bool(self.tune)),
        )

    def resumed_description(self, asked: dict[str, Any], folder: Path) -> dict[str, Any]:
        """What is compared on, with what was not said again as the comparison in a folder has it.

        Raises:
            UserError: there is none, or it was begun with something else.
        """
        had = ComparisonPlan.read(folder).workload
        for name in sorted(asked):
            if name in had and had[name] is not None and asked[name] != had[name]:
                raise UserError(
                    f"{name}: the comparison in {folder} has {had[name]}, not {asked[name]}"
                )
        return {**{name: had[name] for name in had if name != "sha256"}, **asked}

    def resumed_plan(self, workload: Workload, folder: Path) -> ComparisonPlan:
        """The plan in a folder, with the cells and seeds that are new.

        Raises:
            UserError: there is none, or it differs from what is asked in something else.
        """
        plan = ComparisonPlan.read(folder)
        asked = {"hidden": self.hidden, "steps": self.steps, "budget": self.budget}
        had = {"hidden": plan.hidden, "steps": plan.limit.steps, "budget": plan.budget}
        for name, value in asked.items():
            if value is not None and value != had[name]:
                was = "none" if had[name] is None else had[name]
                raise UserError(f"{name}: the comparison in {folder} has {was}, not {value}")
        if self.tune is not None and self.tune != bool(plan.tuning):
            was = "tuned" if plan.tuning else "not tuned"
            raise UserError(f"tune: the cells in {folder} are {was}")
        if plan.workload != workload.description:
            raise UserError(f"the data is not what the comparison in {folder} was begun with")
        return plan.extended(self.cells, self.seeds)


def check_number(name: str, value: int | None, most: int) -> None:
    """Refuses a number that is less than 1 or more than `most`; None is none.

    Raises:
        UserError: it cannot be.
    """
    if value is not None and not 1 <= value <= most:
        raise UserError(f"{name}: expected 1 to {most}, got {value}")
