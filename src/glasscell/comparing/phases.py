"""The parts of a comparison that processes work at: measuring, tuning, training."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from glasscell.comparing.allotment import allotted
from glasscell.comparing.models import Size, matched_hidden, parameters
from glasscell.comparing.plan import TUNED, Plan
from glasscell.comparing.questions import BASE
from glasscell.comparing.run import Run, read_runs
from glasscell.comparing.timed import Limit
from glasscell.comparing.workers import Workers
from glasscell.comparing.workloads import Workload
from glasscell.errors import UserError
from glasscell.files import write_file

if TYPE_CHECKING:
    from glasscell.comparing.board import Board


class Stopped(KeyboardInterrupt):
    """A comparison was interrupted; the text says what there is now."""


def matched_sizes(workload: Workload, plan: Plan) -> dict[str, Size]:
    """The size of each cell whose model has as many parameters as the plain LSTM's."""
    sizes = {BASE: Size(plan.hidden)}
    wanted = parameters_of(workload, BASE, sizes[BASE])
    for cell in plan.cells:
        if cell not in sizes:
            sizes[cell] = plan.sizes.get(cell) or Size(
                matched_hidden(lambda h, cell=cell: workload.model(cell, Size(h)), wanted)
            )
    return sizes


def parameters_of(workload: Workload, cell: str, size: Size) -> int:
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        return parameters(workload.model(cell, size))


def measured_limits(
    plan: Plan, workers: Workers, budget: float, began: float, jobs: int
) -> tuple[Limit, float]:
    orders = [
        {"do": "probe", "workload": plan.workload, "cell": cell, "size": asdict(plan.sizes[cell])}
        for cell in plan.cells
    ]
    probes = {plan.cells[k]: _result(answer, plan.cells[k]) for k, answer in workers.each(orders)}
    return allotted(
        budget,
        time.monotonic() - began,
        probes,
        seeds=len(plan.seeds),
        jobs=jobs,
        tuned=bool(plan.tuning),
    )


def _result(answer: dict[str, Any], cell: str) -> dict[str, Any]:
    if answer["event"] != "done":
        raise UserError(f"{cell} cannot be trained: {answer['why']}")
    return answer["result"]


def tuned_options(
    plan: Plan, folder: Path, workload: Workload, workers: Workers, board: Board
) -> dict[str, dict[str, Any]]:
    """What Optuna chose for each cell; what an earlier part of the comparison chose stays."""
    from glasscell.comparing.tuning import TRIALS

    path = folder / TUNED
    tuned: dict[str, dict[str, Any]] = {}
    if path.exists():
        found = json.loads(path.read_bytes())
        if found["plan"] == plan.fingerprint:
            tuned = found["cells"]
    missing = [cell for cell in plan.cells if cell not in tuned]
    timed = plan.limit.seconds is not None
    trial = (
        Limit(seconds=min(plan.limit.seconds or 0.0, plan.tuning / TRIALS))
        if timed
        else Limit(steps=max(1, (plan.limit.steps or 2) // 2))
    )
    wanted = parameters_of(workload, BASE, plan.sizes[BASE])
    orders = [
        {
            "do": "tune",
            "workload": plan.workload,
            "cell": cell,
            "size": asdict(plan.sizes[cell]),
            "folder": str(folder),
            "study": plan.fingerprint,
            "parameters": wanted,
            "limit": asdict(trial),
            "seconds": plan.tuning if timed else None,
        }
        for cell in missing
    ]
    if missing:
        board.say(f"Choosing options for {', '.join(missing)}")

    def watch(k: int, event: dict[str, Any]) -> None:
        if event["event"] == "progress":
            board.heading = f"Choosing options: {missing[k]}, {event['done']:.0%}"

    for k, answer in workers.each(orders, watch):
        best = tuned[missing[k]] = _result(answer, missing[k])
        board.say(
            f"{missing[k]}: learning rate {best['learning_rate']:.3g}, the best of "
            f"{best['trials']} trials ({workload.measure.told(best['score'])} in validation)"
        )
        data = json.dumps({"plan": plan.fingerprint, "cells": tuned}, indent=1) + "\n"
        write_file(path, data.encode())
    return tuned


def runs_of(plan: Plan, folder: Path) -> list[Run]:
    """The runs of a plan that are finished."""
    return [
        run
        for run in read_runs(folder, plan.fingerprint)
        if run.cell in plan.cells and run.seed in plan.seeds
    ]


def trained_runs(
    plan: Plan,
    folder: Path,
    workload: Workload,
    workers: Workers,
    board: Board,
    tuned: dict[str, dict[str, Any]],
) -> list[Run]:
    """All runs, of which those that are in the folder are not trained again."""
    runs = runs_of(plan, folder)
    for run in runs:
        board.finished(run, before=True)
    done = {(run.cell, run.seed) for run in runs}
    # Seed by seed: what changes on the machine meanwhile meets all cells alike, and what is there
    # when somebody stops it can be compared.
    missing = [
        (cell, seed) for seed in plan.seeds for cell in plan.cells if (cell, seed) not in done
    ]
    if missing:
        board.say(f"Training {', '.join(plan.cells)}: {plan.limit.told()} each")

    def size(cell: str) -> dict[str, Any]:
        return tuned[cell]["size"] if cell in tuned else asdict(plan.sizes[cell])

    orders = [
        {
            "do": "train",
            "workload": plan.workload,
            "cell": cell,
            "size": size(cell),
            "seed": seed,
            "limit": asdict(plan.limit),
            "learning_rate": tuned[cell]["learning_rate"] if cell in tuned else None,
            "folder": str(folder),
            "plan": plan.fingerprint,
        }
        for cell, seed in missing
    ]

    def watch(k: int, event: dict[str, Any]) -> None:
        board.progress(*missing[k], event.get("done", 0.0), event.get("score"))

    for k, answer in workers.each(orders, watch):
        cell, seed = missing[k]
        if answer["event"] == "refused":
            raise UserError(answer["why"])
        if answer["event"] == "done":
            run = Run.of(answer["result"])
        else:
            own = Size(**orders[k]["size"])
            count = parameters_of(workload, cell, own)
            run = Run(cell, seed, own, count, status="failed", why=answer["why"])
        runs.append(run)
        board.finished(run)
    return runs
