"""All trainings of a comparison, in processes; what is done already is not done again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from glasscell.comparing.models import parameters_of
from glasscell.comparing.plan import ComparisonPlan
from glasscell.comparing.processes.messages import Answer, TrainOrder
from glasscell.comparing.processes.pool import ProcessPool
from glasscell.comparing.trainings.run import Run, read_runs
from glasscell.comparing.trainings.tuning import Tuned
from glasscell.comparing.workloads import Workload
from glasscell.errors import UserError

if TYPE_CHECKING:
    from glasscell.comparing.report.progress_display import ProgressDisplay


def finished_runs(plan: ComparisonPlan, folder: Path) -> list[Run]:
    """The runs of a plan that are in its folder."""
    return [
        run
        for run in read_runs(folder, plan.fingerprint)
        if run.cell in plan.cells and run.seed in plan.seeds
    ]


def trained_runs(
    plan: ComparisonPlan,
    folder: Path,
    workload: Workload,
    pool: ProcessPool,
    display: ProgressDisplay,
    tuned: Mapping[str, Tuned],
) -> list[Run]:
    """All runs, of which those that are in the folder are not trained again.

    Args:
        tuned: options that were chosen for cells.

    Raises:
        UserError: data or an option cannot be used. What fails for another reason is a run too.
    """
    runs = finished_runs(plan, folder)
    for run in runs:
        display.finished(run, before=True)
    orders = _orders(plan, folder, {(run.cell, run.seed) for run in runs}, tuned)
    if orders:
        display.say(f"Training {', '.join(plan.cells)}: {plan.limit.told()} each")

    def watch(k: int, answer: Answer) -> None:
        display.progress(orders[k].cell, orders[k].seed, answer.part, answer.score)

    for k, answer in pool.each(orders, watch):
        order = orders[k]
        if answer.event == "refused":
            raise UserError(answer.why)
        if answer.event == "done":
            run = Run.of(answer.result)
        else:
            count = parameters_of(lambda order=order: workload.model(order.cell, order.size))
            run = Run(order.cell, order.seed, order.size, count, status="failed", why=answer.why)
        runs.append(run)
        display.finished(run)
    return runs


def _orders(
    plan: ComparisonPlan,
    folder: Path,
    done: set[tuple[str, int]],
    tuned: Mapping[str, Tuned],
) -> list[TrainOrder]:
    # Seed by seed: what changes on the machine meanwhile meets all cells alike, and what is there
    # when somebody stops it can be compared.
    return [
        TrainOrder(
            workload=plan.workload,
            cell=cell,
            size=tuned[cell].size if cell in tuned else plan.sizes[cell],
            seed=seed,
            limit=plan.limit,
            learning_rate=tuned[cell].learning_rate if cell in tuned else None,
            folder=str(folder),
            plan=plan.fingerprint,
        )
        for seed in plan.seeds
        for cell in plan.cells
        if (cell, seed) not in done
    ]
