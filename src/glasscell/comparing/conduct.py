"""`glasscell.compare`: which cell one's data needs, from the plan to what was found."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glasscell.comparing.comparison import CONFIDENCE, Comparison, comparison_of
from glasscell.comparing.durations import seconds_of, told
from glasscell.comparing.models import cells_named
from glasscell.comparing.phases import (
    Stopped,
    matched_sizes,
    measured_limits,
    runs_of,
    trained_runs,
    tuned_options,
)
from glasscell.comparing.plan import Plan, make_folder, refuse_folder
from glasscell.comparing.questions import BASE
from glasscell.comparing.timed import Limit
from glasscell.comparing.workers import Workers
from glasscell.comparing.workloads import Workload, read_workload
from glasscell.errors import UserError

CELLS = (BASE, "peephole", "coupled", "no_forget_gate", "gru", "rnn")
SEEDS = 5
BUDGET = "10m"
HIDDEN = 64
MOST_SEEDS, MOST_HIDDEN, MOST_JOBS = 1000, 16_384, 1024


def compare(
    task: str,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    cells: Sequence[str] | str | None = None,
    seeds: int | None = None,
    budget: str | float | None = None,
    steps: int | None = None,
    hidden: int | None = None,
    tune: bool | None = None,
    jobs: int | None = None,
    margin: float | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    force: bool = False,
    progress: bool = True,
    **options: Any,
) -> Comparison:
    """Trains several cells on the same data, equally large and equally long, and says which parts
    of them that data needs.

        found = glasscell.compare("text", "book.txt", cells="lstm,gru,rnn", budget="10m")
        print(found)

    Each cell has the hidden size at which the whole model has as nearly as can be as many
    parameters as the plain LSTM's, and each is trained from the same seeds: a seed fixes the first
    weights and the order of the data. Trainings run in processes of one thread each.

    Args:
        task: "text": language models, source is one or more UTF-8 files. "series": one-step
            forecasts, source is a CSV file. "classic": a task made on the fly, source is its name.
        source: see `task`.
        cells: names, as a sequence or separated by commas; the plain LSTM is always among them,
            as all others are compared with it.
        seeds: how many trainings each cell gets, from seeds 0, 1, ...
        budget: the time for everything, by the wall: seconds, or "90s", "10m", "1h30m". It is
            shared out as **processor time in updates**, the same for each training, so that a fast
            cell makes more updates than a slow one.
        steps: instead, **exactly so many updates** each; however long they take.
        hidden: units of the plain LSTM.
        tune: Optuna chooses learning rate, dropout and the size of embeddings for each cell, in
            half of the budget; with `steps` in 10 trials a cell, half as long as a training.
        jobs: trainings at once; as many as there are processors if absent.
        margin: the largest difference that does not matter, in units of the score.
        out: the folder for numbers, weights and the page; None keeps nothing on disk.
        resume: go on with the comparison in `out`: what is done is not repeated. More cells and
            seeds may be added; each training stays as long as it was planned.
        force: replace the comparison in `out`.
        progress: show how it goes, on standard error.
        options: of the task. Text: `level` ("char", "byte", "word"). Series: `target` and `time`,
            columns. Classic: `T`, steps.

    Returns:
        What was found; a training that diverged or failed is part of it.

    Raises:
        UserError: data, cell, folder or option that cannot be used; a budget that is too short,
            with the one that would do.
        KeyboardInterrupt: Ctrl-C; finished trainings are in `out`, to be gone on with.
    """
    began = time.monotonic()
    if out is None:
        if resume or force:
            raise UserError("out: say which folder (out, --out)")
        with TemporaryDirectory(prefix="glasscell-") as folder:
            return compare(
                task, source, cells=cells, seeds=seeds, budget=budget, steps=steps, hidden=hidden,
                tune=tune, jobs=jobs, margin=margin, out=Path(folder) / "comparison",
                progress=progress, **options,
            )  # fmt: skip
    if resume and force:
        raise UserError("resume goes on with a comparison and force replaces it: choose one")
    if budget is not None and steps is not None:
        raise UserError("budget and steps: give one of the two")
    _check("seeds", seeds, MOST_SEEDS)
    _check("steps", steps, 10**9)
    _check("hidden", hidden, MOST_HIDDEN)
    _check("jobs", jobs, MOST_JOBS)
    if margin is not None and not 0 <= margin < float("inf"):
        raise UserError(f"margin: expected 0 or more, got {margin}")
    named = None if cells is None else cells_named(cells)
    seconds = None if steps is not None else seconds_of(BUDGET if budget is None else budget)
    workload = read_workload(_description(task, source, options))
    folder = Path(out)
    wanted = None if seeds is None else range(seeds)
    jobs = jobs or processors()

    if resume:
        plan = _resumed(folder, workload, named, wanted, seconds if budget else None, steps,
                        hidden, tune)  # fmt: skip
    else:
        plan = Plan(
            workload=workload.description,
            cells=named or CELLS,
            seeds=tuple(wanted or range(SEEDS)),
            hidden=hidden or HIDDEN,
            sizes={},
            limit=Limit(steps=steps),
            budget=seconds,
            tuning=float(bool(tune)),
        )
    plan = replace(plan, sizes=matched_sizes(workload, plan))
    if plan.tuning:
        from glasscell.comparing.tuning import load_optuna

        load_optuna()  # before anything is trained
    if not resume:
        refuse_folder(folder, force=force)  # before anything is measured

    from glasscell.comparing.board import Board  # brings rich in

    board = Board(plan.cells, plan.seeds, workload.measure, shown=progress)
    with board, Workers(jobs) as workers:
        if plan.limit == Limit():
            board.say("Measuring how fast each cell is")
            assert plan.budget is not None
            limit, tuning = measured_limits(plan, workers, plan.budget, began, jobs)
            plan = replace(plan, limit=limit, tuning=tuning)
        if not resume:
            make_folder(folder, force=force)
        plan.write(folder)
        try:
            tuned = tuned_options(plan, folder, workload, workers, board) if plan.tuning else {}
            runs = trained_runs(plan, folder, workload, workers, board, tuned)
        except KeyboardInterrupt:
            done = len(runs_of(plan, folder))
            raise Stopped(
                f"stopped; {done} of {len(plan.cells) * len(plan.seeds)} trainings are done and "
                f"stand in {folder}"
            ) from None
    found = comparison_of(
        runs,
        cells=plan.cells,
        title=workload.title,
        measure=workload.measure,
        margin=margin,
        confidence=CONFIDENCE,
        facts=(*workload.facts, *_how(plan, workload, jobs)),
        seconds=time.monotonic() - began,
    )
    found.save(folder)
    return found


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check(name: str, value: int | None, most: int) -> None:
    if value is not None and not 1 <= value <= most:
        raise UserError(f"{name}: expected 1 to {most}, got {value}")


def _description(task: str, source: Any, options: dict[str, Any]) -> dict[str, Any]:
    taken = {"text": ("level",), "series": ("target", "time"), "classic": ("T",)}
    if task not in taken:
        raise UserError(f"task: expected one of {', '.join(taken)}, got {task!r}")
    if unknown := sorted(options.keys() - set(taken[task])):
        raise TypeError(f"compare: {task} has no options {', '.join(unknown)}")
    given = {name: value for name, value in options.items() if value is not None}
    if task == "classic":
        return {"task": task, "name": source, **given}
    names = [source] if isinstance(source, str | os.PathLike) else list(source)
    files = [str(Path(name).absolute()) for name in names]
    if task == "text":
        return {"task": task, "files": files, **given}
    if len(files) != 1:
        raise UserError(f"series: expected one file, got {len(files)}")
    return {"task": task, "file": files[0], **given}


def _resumed(
    folder: Path,
    workload: Workload,
    cells: Sequence[str] | None,
    seeds: Sequence[int] | None,
    budget: float | None,
    steps: int | None,
    hidden: int | None,
    tune: bool | None,
) -> Plan:
    plan = Plan.read(folder)
    asked = {"hidden": hidden, "steps": steps, "budget": budget}
    had = {"hidden": plan.hidden, "steps": plan.limit.steps, "budget": plan.budget}
    for name, value in asked.items():
        if value is not None and value != had[name]:
            was = "none" if had[name] is None else had[name]
            raise UserError(f"{name}: the comparison in {folder} has {was}, not {value}")
    if tune is not None and tune != bool(plan.tuning):
        was = "tuned" if plan.tuning else "not tuned"
        raise UserError(f"tune: the cells in {folder} are {was}")
    if plan.workload != workload.description:
        raise UserError(f"the data is not what the comparison in {folder} was begun with")
    return plan.extended(cells, seeds)


def _how(plan: Plan, workload: Workload, jobs: int) -> tuple[str, ...]:
    """How it was made, in sentences for the page."""
    at_once = "one at a time" if jobs == 1 else f"up to {jobs} at once"
    if plan.limit.steps is not None:
        length = f"each training made exactly {plan.limit.steps:,} updates, however long they took"
    else:
        assert plan.budget is not None
        length = (
            f"each training had {plan.limit.told()}, so that a faster cell made more of them; "
            f"{told(plan.budget)} were given for everything"
        )
    facts = [
        length,
        f"trainings ran {at_once}, each in a process of one thread; "
        f"Python {sys.version.split()[0]}, {_versions()}",
    ]
    if plan.tuning:
        what = ", ".join(("learning rate", *workload.choices))
        facts.append(f"Optuna chose {what} for each cell, by the validation part alone")
    return tuple(facts)


def _versions() -> str:
    import torch

    from glasscell.version import __version__

    return f"torch {torch.__version__}, glasscell {__version__}"
