"""`glasscell.compare`: which cell one's data needs, from what is asked to what was found."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from glasscell.comparing.comparison import Comparison
from glasscell.comparing.comparison_of import comparison_of
from glasscell.comparing.folder import make_folder, refuse_folder
from glasscell.comparing.plan import ComparisonPlan
from glasscell.comparing.processes.measured_limits import measured_limits
from glasscell.comparing.processes.pool import MOST_JOBS, ProcessPool, processors
from glasscell.comparing.processes.trained_runs import finished_runs, trained_runs
from glasscell.comparing.processes.tuned_options import tuned_options
from glasscell.comparing.report.how_made import how_made
from glasscell.comparing.request import Request, check_number
from glasscell.comparing.sizes import matched_sizes
from glasscell.comparing.trainings.run import Run
from glasscell.comparing.trainings.timed import Limit
from glasscell.comparing.trainings.tuning import load_optuna
from glasscell.comparing.workloads import Workload, description_of, read_workload
from glasscell.errors import UserError
from glasscell.training.signals import Interrupted

if TYPE_CHECKING:
    from glasscell.comparing.report.progress_display import ProgressDisplay


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
    """Trains several cells on the same data, at the same size and for the same time, and says
    which parts of them that data needs.

        found = glasscell.compare("text", "book.txt", cells="lstm,gru,rnn", budget="10m")
        print(found)

    Each cell has the hidden size at which the whole model has nearly the same number of parameters
    as the plain LSTM's, and each is trained from the same seeds: a seed fixes the first weights and
    the order of the data. Trainings run in processes of one thread each.

    Args:
        task: "text": language models, source is one or more UTF-8 files. "series": one-step
            forecasts, source is a CSV file. "classic": a task made on the fly, source is its name.
        source: see `task`.
        cells: names, as a sequence or separated by commas; the plain LSTM is always among them,
            as all others are compared with it.
        seeds: how many trainings each cell gets, from seeds 0, 1, ...
        budget: the wall-clock time for everything: seconds, or "90s", "10m", "1h30m". It is
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
        Interrupted: Ctrl-C, a `KeyboardInterrupt`; finished trainings are in `out`, to be gone on
            with.
    """
    began = time.monotonic()
    if out is None and (resume or force):
        raise UserError("out: say which folder (out, --out)")
    if resume and force:
        raise UserError("resume goes on with a comparison and force replaces it: choose one")
    request = Request.checked(
        cells=cells, seeds=seeds, budget=budget, steps=steps, hidden=hidden, tune=tune
    )
    check_number("jobs", jobs, MOST_JOBS)
    jobs = jobs or processors()
    if margin is not None and not 0 <= margin < float("inf"):
        raise UserError(f"margin: expected 0 or more, got {margin}")
    with _folder(out) as folder:
        asked = description_of(task, source, options)
        if resume:
            asked = request.resumed_description(asked, folder)
        workload = read_workload(asked)
        plan = request.resumed_plan(workload, folder) if resume else request.new_plan(workload)
        sizes = matched_sizes(workload, plan.cells, plan.hidden, known=plan.sizes)
        plan = replace(plan, sizes=sizes)
        if plan.tuning:
            load_optuna()  # before anything is trained
        if not resume:
            refuse_folder(folder, force=force)  # before anything is measured

        from glasscell.comparing.report.progress_display import ProgressDisplay  # brings rich in

        display = ProgressDisplay(plan.cells, plan.seeds, workload.measure, shown=progress)
        with display, ProcessPool(jobs) as pool:
            if plan.limit == Limit():
                display.say("Measuring how fast each cell is")
                assert plan.budget is not None
                limit, tuning = measured_limits(plan, pool, plan.budget, began)
                plan = replace(plan, limit=limit, tuning=tuning)
            if not resume:
                make_folder(folder, force=force)
            plan.write(folder)
            runs = _runs(plan, folder, workload, pool, display, is_kept=out is not None)
        found = comparison_of(
            runs,
            cells=plan.cells,
            title=workload.title,
            measure=workload.measure,
            margin=margin,
            facts=(*workload.facts, *how_made(plan, workload, jobs)),
        )
        found.save(folder)
        return found


@contextmanager
def _folder(out: str | os.PathLike[str] | None) -> Iterator[Path]:
    """Where a comparison stands: what was said, or a folder that goes again."""
    if out is not None:
        yield Path(out)
        return
    with TemporaryDirectory(prefix="glasscell-") as parent:
        yield Path(parent) / "comparison"


def _runs(
    plan: ComparisonPlan,
    folder: Path,
    workload: Workload,
    pool: ProcessPool,
    display: ProgressDisplay,
    *,
    is_kept: bool,
) -> list[Run]:
    """All trainings, tuned before where that is planned.

    Raises:
        Interrupted: Ctrl-C; it says what there is.
    """
    try:
        tuned = tuned_options(plan, folder, workload, pool, display) if plan.tuning else {}
        return trained_runs(plan, folder, workload, pool, display, tuned)
    except KeyboardInterrupt:
        of_all = f"{len(finished_runs(plan, folder))} of {len(plan.cells) * len(plan.seeds)}"
        where = f"stand in {folder}" if is_kept else "are lost, as there is no folder (out)"
        raise Interrupted(
            f"stopped; {of_all} trainings are done and {where}", resumable=is_kept
        ) from None
