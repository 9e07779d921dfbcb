"""`glasscell bench`: how fast it is on this machine, beside what else there is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from glasscell.errors import UserError

LONGEST = 3600.0  # seconds that one comparison may be given
THREADS = 2
WRONG = 1  # the exit code where something of ours computed the wrong thing


def bench(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="A few shapes of each, in some minutes: a first look, and no verdict."
        ),
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP,...",
            help="Some of training, training-bf16, inference, single, ragged, others, keeping, "
            "streaming, peephole, variants, sweep, scaling, compile, tracing, editing, importing, "
            "language.",
            show_default="all",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(help="Seconds for each comparison.", show_default="2; 0.2 with --quick"),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads that everyone gets.", show_default="2")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write every figure here.")
    ] = None,
) -> None:
    """Compare the layers with torch.nn, ONNX Runtime, OpenVINO and Python loops on this machine.

    Everyone computes the same in one process, taking turns; answers are checked first against
    torch.nn in float64. A time is the median, and a ratio the fastest other's time over ours:
    above 1 we are faster. "Promised" is what Glasscell wants of a table on any machine with two
    processors, "short" counts its rows that do not reach it. Let nothing else run meanwhile.

    **Examples**

        glasscell bench --quick

        glasscell bench --only training,ragged --threads 4 --json figures.json
    """
    from glasscell.files import refuse_unwritable

    if budget is not None and not 0 <= budget <= LONGEST:
        raise UserError(f"budget: expected seconds from 0 to {LONGEST:.0f}, got {budget:g}")
    cores = os.cpu_count() or 1
    if threads is not None and not 1 <= threads <= cores:
        raise UserError(f"threads: expected 1 to {cores}, the processors here, got {threads}")
    if json is not None:
        refuse_unwritable(json)  # before minutes of measuring

    from glasscell.bench import GROUPS, Report, Scale, measure, torch_threads, works
    from glasscell.cli.bench_table import Tables

    wanted = works([name.strip() for name in only.split(",")] if only is not None else GROUPS)
    scale = Scale.quick() if quick else Scale()
    scale = scale if budget is None else replace(scale, budget=budget)
    tables = Tables()
    with torch_threads(threads or min(THREADS, cores)):
        report = Report(scale)
        tables.head(report)
        for work in wanted:
            with tables.waiting(work) as progress:
                outcome = measure(work, scale, progress)
            report.outcomes.append(outcome)
            tables.show(outcome, judged=not quick)
            if json is not None:
                report.write(json)  # each time, so that an interrupted run leaves what it has
    if any(outcome.wrong for outcome in report.outcomes):
        raise typer.Exit(WRONG)
