"""How long each training is, as a budget gives it: every cell is measured first, in processes."""

from __future__ import annotations

import time

from glasscell.comparing.budget import share_budget
from glasscell.comparing.plan import ComparisonPlan
from glasscell.comparing.processes.messages import ProbeOrder, result_of
from glasscell.comparing.processes.pool import ProcessPool
from glasscell.comparing.trainings.probe import Pace
from glasscell.comparing.trainings.timed import Limit


def measured_limits(
    plan: ComparisonPlan, pool: ProcessPool, budget: float, began: float
) -> tuple[Limit, float]:
    """What each training gets of a budget, and what tuning each cell gets.

    Args:
        plan: with the size of each cell.
        pool: where cells are measured.
        budget: seconds of wall-clock time, for everything.
        began: when the comparison began, by `time.monotonic`.

    Returns:
        The limit of each training, and seconds of processor time for tuning each cell.

    Raises:
        UserError: a cell cannot be trained, or the budget is too short.
    """
    orders = [ProbeOrder(plan.workload, cell, plan.sizes[cell]) for cell in plan.cells]
    paces = {}
    for k, answer in pool.each(orders):
        paces[plan.cells[k]] = Pace(**result_of(answer, plan.cells[k]))
    return share_budget(
        budget,
        time.monotonic() - began,
        paces,
        seeds=len(plan.seeds),
        jobs=pool.jobs,
        tuned=bool(plan.tuning),
    )
