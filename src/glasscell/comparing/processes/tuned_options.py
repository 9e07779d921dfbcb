"""The options of each cell, chosen by Optuna in processes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from glasscell.comparing.folder import TUNED
from glasscell.comparing.models import parameters_of
from glasscell.comparing.plan import ComparisonPlan
from glasscell.comparing.processes.messages import Answer, TuneOrder, result_of
from glasscell.comparing.processes.pool import ProcessPool
from glasscell.comparing.questions import BASE
from glasscell.comparing.trainings.timed import Limit
from glasscell.comparing.trainings.tuning import TRIALS, Tuned
from glasscell.comparing.workloads import Workload
from glasscell.files import write_file

if TYPE_CHECKING:
    from glasscell.comparing.report.progress_display import ProgressDisplay


def tuned_options(
    plan: ComparisonPlan,
    folder: Path,
    workload: Workload,
    pool: ProcessPool,
    display: ProgressDisplay,
) -> dict[str, Tuned]:
    """What was chosen for each cell; what an earlier part of the comparison chose stays.

    Raises:
        UserError: a cell cannot be trained.
    """
    tuned = _chosen_before(plan, folder)
    missing = [cell for cell in plan.cells if cell not in tuned]
    if missing:
        display.say(f"Choosing options for {', '.join(missing)}")

    def watch(k: int, answer: Answer) -> None:
        if answer.event == "progress":
            display.heading = f"Choosing options: {missing[k]}, {answer.part:.0%}"

    for k, answer in pool.each(_orders(plan, folder, workload, missing), watch):
        best = tuned[missing[k]] = Tuned.of(result_of(answer, missing[k]))
        display.say(
            f"{missing[k]}: learning rate {best.learning_rate:.3g}, the best of "
            f"{best.trials} trials ({workload.measure.told(best.score)} in validation)"
        )
        plain = {cell: asdict(each) for cell, each in tuned.items()}
        data = json.dumps({"plan": plan.fingerprint, "cells": plain}, indent=1) + "\n"
        write_file(folder / TUNED, data.encode())
    return tuned


def _chosen_before(plan: ComparisonPlan, folder: Path) -> dict[str, Tuned]:
    path = folder / TUNED
    if not path.exists():
        return {}
    found = json.loads(path.read_bytes())
    if found["plan"] != plan.fingerprint:
        return {}
    return {cell: Tuned.of(plain) for cell, plain in found["cells"].items()}


def _orders(
    plan: ComparisonPlan, folder: Path, workload: Workload, cells: list[str]
) -> list[TuneOrder]:
    # As long as a training at most, and so short that there are enough trials.
    if plan.limit.seconds is not None:
        seconds = plan.tuning
        trial = Limit(seconds=min(plan.limit.seconds, plan.tuning / TRIALS))
    else:
        seconds = None
        trial = Limit(steps=max(1, (plan.limit.steps or 2) // 2))
    wanted = parameters_of(lambda: workload.model(BASE, plan.sizes[BASE]))
    return [
        TuneOrder(
            workload=plan.workload,
            cell=cell,
            size=plan.sizes[cell],
            folder=str(folder),
            study=plan.fingerprint,
            parameters=wanted,
            limit=trial,
            seconds=seconds,
        )
        for cell in cells
    ]
