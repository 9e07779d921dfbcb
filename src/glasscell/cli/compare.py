"""`glasscell compare`: which cell one's data needs; one command a task."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glasscell.cli import compare_options as opt

if TYPE_CHECKING:
    from glasscell.comparing import Comparison

NOTHING_DONE = 1  # the exit code where no training came to its end

compare = typer.Typer(
    name="compare",
    help="Train several cells, equally large and equally long, and say which your data needs.",
    no_args_is_help=False,
    rich_markup_mode="markdown",
)


@compare.command("text")
def text(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="UTF-8 text files, read one after the other."),
    ],
    level: Annotated[
        str | None,
        typer.Option(
            help="What a token is: char, byte or word. [default: char]",
            show_default=False,
            rich_help_panel=opt.DATA,
        ),
    ] = None,
    cells: opt.Cells = None,
    seeds: opt.Seeds = None,
    budget: opt.Budget = None,
    steps: opt.Steps = None,
    hidden: opt.Hidden = None,
    tune: opt.Tune = False,
    margin: opt.Margin = None,
    jobs: opt.Jobs = None,
    out: opt.Out = None,
    resume: opt.Resume = False,
    force: opt.Force = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compare cells as language models of a text: bits a character on its held-out end.

    **Examples**

        glasscell compare text book.txt --budget 10m

        glasscell compare text book.txt --cells lstm,peephole,gru --seeds 8 --steps 3000

        glasscell compare text book.txt --out runs/compare-book --resume --seeds 10
    """
    _compare(
        "text", files, out or _folder(files[0]), level=level, cells=cells, seeds=seeds,
        budget=budget, steps=steps, hidden=hidden, tune=tune or None, margin=margin, jobs=jobs,
        resume=resume, force=force, as_json=as_json, quiet=quiet,
    )  # fmt: skip


@compare.command("series")
def series(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A CSV file with a head line.")],
    target: Annotated[
        str | None,
        typer.Option(
            help="The column to forecast; may be left out where only one holds numbers.",
            show_default=False,
            rich_help_panel=opt.DATA,
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            help="A column by which the rows must be in order.",
            show_default=False,
            rich_help_panel=opt.DATA,
        ),
    ] = None,
    cells: opt.Cells = None,
    seeds: opt.Seeds = None,
    budget: opt.Budget = None,
    steps: opt.Steps = None,
    hidden: opt.Hidden = None,
    tune: opt.Tune = False,
    margin: opt.Margin = None,
    jobs: opt.Jobs = None,
    out: opt.Out = None,
    resume: opt.Resume = False,
    force: opt.Force = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compare cells at forecasting the next value of a series: the mean absolute scaled error.

    **Examples**

        glasscell compare series load.csv --target demand --time hour
    """
    _compare(
        "series", file, out or _folder(file), target=target, time=time, cells=cells, seeds=seeds,
        budget=budget, steps=steps, hidden=hidden, tune=tune or None, margin=margin, jobs=jobs,
        resume=resume, force=force, as_json=as_json, quiet=quiet,
    )  # fmt: skip


@compare.command("classic")
def classic(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="adding, temporal_order, turnstile, ...")
    ],
    T: Annotated[
        int | None,
        typer.Option(
            "--length",
            "-T",
            help="Steps of a sequence. [default: the task's own]",
            show_default=False,
            rich_help_panel=opt.DATA,
        ),
    ] = None,
    cells: opt.Cells = None,
    seeds: opt.Seeds = None,
    budget: opt.Budget = None,
    steps: opt.Steps = None,
    hidden: opt.Hidden = None,
    tune: opt.Tune = False,
    margin: opt.Margin = None,
    jobs: opt.Jobs = None,
    out: opt.Out = None,
    resume: opt.Resume = False,
    force: opt.Force = False,
    as_json: opt.AsJson = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compare cells on a task made on the fly, whose chance level and optimum are known.

    **Examples**

        glasscell compare classic adding --length 100 --cells lstm,no_forget_gate,rnn
    """  # fmt: skip
    _compare(
        "classic", name, out or _folder(name), T=T, cells=cells, seeds=seeds, budget=budget,
        steps=steps, hidden=hidden, tune=tune or None, margin=margin, jobs=jobs, resume=resume,
        force=force, as_json=as_json, quiet=quiet,
    )  # fmt: skip


def _folder(name: str) -> Path:
    return Path("runs") / f"compare-{Path(name).stem}"


def _compare(
    task: str, source: Any, out: Path, *, as_json: bool, quiet: bool, **options: Any
) -> None:
    from glasscell.comparing import compare as compared
    from glasscell.comparing.phases import Stopped

    try:
        found = compared(task, source, out=out, progress=not quiet, **options)
    except Stopped as stopped:
        print(f"glasscell: {stopped}; go on with --out {out} --resume", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        import json

        print(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        _tell(found, out)
    if not any(cell.done for cell in found.cells):
        raise typer.Exit(NOTHING_DONE)


def _tell(found: Comparison, out: Path) -> None:
    from glasscell.cli.compare_table import show
    from glasscell.comparing.plan import PAGE

    show(found)
    print(f"\n{out / PAGE}: the same with figures, to open in a browser")
