"""`glasscell compare`: which cell one's data needs; one command a task."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glasscell.cli import compare_options as opt
from glasscell.cli.interruption import telling_interruption
from glasscell.cli.train_classic import NAMES

if TYPE_CHECKING:
    from glasscell.comparing import Comparison

NOTHING_DONE = 1  # the exit code where no training came to its end

compare = typer.Typer(
    name="compare",
    help="Train several cells at the same size and for the same time, and say which your data "
    "needs.",
    no_args_is_help=False,
    rich_markup_mode="markdown",
)


@compare.command("text")
@opt.with_shared_options
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
    *,
    shared: opt.SharedOptions,
) -> None:
    """Compare cells as language models of a text: bits a character on its held-out end.

    **Examples**

        glasscell compare text book.txt --budget 10m

        glasscell compare text book.txt --cells lstm,peephole,gru --seeds 8 --steps 3000

        glasscell compare text book.txt --out runs/compare-book --resume --seeds 10
    """
    _compare("text", files, shared, _folder(files[0]), level=level)


@compare.command("series")
@opt.with_shared_options
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
    *,
    shared: opt.SharedOptions,
) -> None:
    """Compare cells at forecasting the next value of a series: the mean absolute scaled error.

    **Examples**

        glasscell compare series load.csv --target demand --time hour
    """
    _compare("series", file, shared, _folder(file), target=target, time=time)


@compare.command("classic")
@opt.with_shared_options
def classic(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"The task: {NAMES}.")],
    T: Annotated[
        int | None,
        typer.Option(
            "--T",
            help="Steps of a sequence. [default: the task's own]",
            show_default=False,
            rich_help_panel=opt.DATA,
        ),
    ] = None,
    *,
    shared: opt.SharedOptions,
) -> None:
    """Compare cells on a task made on the fly, whose chance level and optimum are known.

    **Examples**

        glasscell compare classic adding --T 100 --cells lstm,no_forget_gate,rnn
    """  # fmt: skip
    _compare("classic", name, shared, _folder(name), T=T)


def _folder(name: str) -> Path:
    return Path("runs") / f"compare-{Path(name).stem}"


def _compare(task: str, source: Any, shared: opt.SharedOptions, usual: Path, **data: Any) -> None:
    from glasscell.comparing import compare as compared

    out = shared.out or usual
    go_on = _go_on(task, source, {**data, "jobs": shared.jobs}, out)
    with telling_interruption(go_on):
        found = compared(
            task, source, out=out, progress=not shared.quiet, **data, **shared.of_comparison()
        )
    if shared.as_json:
        import json

        print(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        _tell(found, out)
    if not any(cell.done for cell in found.cells):
        raise typer.Exit(NOTHING_DONE)


def _go_on(task: str, source: Any, data: dict[str, Any], out: Path) -> str:
    """The command that goes on with a comparison: its data must be named again."""
    sources = [source] if isinstance(source, str) else source
    words = ["glasscell", "compare", task, *sources]
    for name, value in data.items():
        words += [] if value is None else [f"--{name}", str(value)]
    return shlex.join([*words, "--out", str(out), "--resume"])


def _tell(found: Comparison, out: Path) -> None:
    from glasscell.cli.compare_table import show
    from glasscell.comparing.folder import PAGE

    show(found)
    print(f"\n{out / PAGE}: the same with figures, to open in a browser")
