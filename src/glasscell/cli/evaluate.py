"""`glasscell evaluate`: how well a trained model does its task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glasscell.cli.edits import Edits, edited
from glasscell.errors import UserError

if TYPE_CHECKING:
    from glasscell.tasks.language.vocabulary import Text
    from glasscell.training import ClassicRun, LanguageRun, SeriesRun

TEXT_PANEL, CLASSIC_PANEL, SERIES_PANEL = "Language models", "Classic tasks", "Forecasters"
BLOCK = 1 << 16  # bytes scored between two looks at the progress bar
LONG = 1 << 18  # bytes; a shorter text is scored before a bar would be read


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A model folder.")],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Text to score, - for standard input; by default the held-out end of the text "
            "that the model was trained on.",
            show_default=False,
        ),
    ] = None,
    skip_unknown: Annotated[
        bool,
        typer.Option(
            "--skip-unknown",
            help="Leave out characters it has never seen.",
            rich_help_panel=TEXT_PANEL,
        ),
    ] = False,
    streams: Annotated[
        int | None,
        typer.Option(
            help="Stretches of text read side by side; 1 reads straight through.",
            show_default="1 to 32, by length",
            rich_help_panel=TEXT_PANEL,
        ),
    ] = None,
    T: Annotated[
        int | None,
        typer.Option(
            "--T",
            help="Length of the sequences.",
            show_default="that of training",
            rich_help_panel=CLASSIC_PANEL,
        ),
    ] = None,
    sequences: Annotated[
        int | None,
        typer.Option(
            help="How many are drawn.", show_default="1000", rich_help_panel=CLASSIC_PANEL
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Of the sequences, or of the series that are scored.",
            show_default="0",
            rich_help_panel=CLASSIC_PANEL,
        ),
    ] = None,
    origins: Annotated[
        int | None,
        typer.Option(
            help="Moments to forecast from, a horizon apart.",
            show_default="as the test part has, at most 5",
            rich_help_panel=SERIES_PANEL,
        ),
    ] = None,
    series: Annotated[
        int | None,
        typer.Option(
            help="Series that are scored; of more, as many are drawn.",
            show_default="100",
            rich_help_panel=SERIES_PANEL,
        ),
    ] = None,
    edits: Edits = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score a model: bits per character of a text, and perplexity for words; or how well it does
    the classic task that it was trained on; or how good its forecasts are, beside simple ones.

    **Examples**

        glasscell evaluate runs/book

        glasscell evaluate runs/book other.txt --json

        glasscell evaluate runs/book --edits without-unit-3.json

        glasscell evaluate runs/anbn --T 101

        glasscell evaluate runs/cases --origins 3
    """
    from glasscell.training import load

    model = load(run)
    given: dict[str, Any] = {
        "FILE": files or None,
        "--skip-unknown": skip_unknown or None,
        "--streams": streams,
        "--T": T,
        "--sequences": sequences,
        "--seed": seed,
        "--origins": origins,
        "--series": series,
    }
    task = model.config["task"]
    score, known = TASKS[task]
    strange = [name for name, value in given.items() if value is not None and name not in known]
    if strange:
        raise typer.BadParameter(
            f"{run} holds a model for the task {task!r}, which has no {' and no '.join(strange)}"
        )
    options = {known[name]: value for name, value in given.items() if name in known}
    with edited(model.model, edits):
        score(model, {name: each for name, each in options.items() if each is not None}, as_json)


def _evaluate_text(model: LanguageRun, options: dict[str, Any], as_json: bool) -> None:
    from glasscell.tasks.language import UnknownCharacters

    files: list[str] | None = options.pop("files", None)
    try:
        with _progress(_size(model, files)) as progress:
            score = model.evaluate(_blocks(model, files), progress=progress, **options)
    except UnknownCharacters as error:
        them = "it" if len(error.characters) == 1 else "them"
        raise UserError(f"{error}; --skip-unknown leaves {them} out") from None
    if as_json:
        _print_json(score.as_dict())
        return
    what = ", ".join(files) if files else "the held-out end of its text"
    print(
        f"{score.bits_per_character:.3f} bits per character on {what} "
        f"({score.characters:,} characters)"
    )
    if score.words is not None:
        print(f"perplexity {score.perplexity:,.1f} a word ({score.words:,} words)")
    if score.skipped:
        print(f"{score.skipped:,} unknown characters were left out")


def _evaluate_classic(model: ClassicRun, options: dict[str, Any], as_json: bool) -> None:
    from glasscell.training.classic_run import figure, levels, told_details

    score = model.evaluate(**options)
    if as_json:
        _print_json(score.as_dict())
        return
    task = score.task
    print(
        f"{figure(task, score.score)} {task.measure} ({levels(task)}) on {score.sequences:,} new "
        f"sequences of {task.name}, T = {task.T}"
    )
    if score.details:
        print(told_details(score.details))
    if score.reach is not None:
        print(f"right at every n up to {score.reach}")


def _evaluate_series(model: SeriesRun, options: dict[str, Any], as_json: bool) -> None:
    from glasscell.cli.backtest_table import show

    found = model.backtest(**options)
    if as_json:
        _print_json(found.as_dict())
    else:
        show(found, model.panel)


# How each task is scored, and which of the options it knows, by the names that they have there.
TASKS: dict[str, tuple[Callable[[Any, dict[str, Any], bool], None], dict[str, str]]] = {
    "language": (
        _evaluate_text,
        {"FILE": "files", "--skip-unknown": "skip_unknown", "--streams": "streams"},
    ),
    "classic": (
        _evaluate_classic,
        {"--T": "T", "--sequences": "sequences", "--seed": "seed"},
    ),
    "series": (
        _evaluate_series,
        {"--origins": "origins", "--series": "series", "--seed": "seed"},
    ),
}


def _print_json(content: dict[str, Any]) -> None:
    import json

    print(json.dumps(content))


def _blocks(model: LanguageRun, files: list[str] | None) -> Iterator[Text]:
    from glasscell.tasks.language import text_blocks

    if files:
        as_bytes = model.vocabulary.reads_bytes
        return chain.from_iterable(
            text_blocks(file, as_bytes=as_bytes, size=BLOCK) for file in files
        )
    text = model.test_text
    return (text[start : start + BLOCK] for start in range(0, len(text), BLOCK))


def _size(model: LanguageRun, files: list[str] | None) -> int | None:
    """How long the text is, in bytes; None where only reading it would tell."""
    from glasscell.tasks.language.vocabulary import as_bytes

    if not files:
        return len(as_bytes(model.test_text))
    paths = [Path(file) for file in files]
    return sum(p.stat().st_size for p in paths) if all(p.is_file() for p in paths) else None


@contextmanager
def _progress(size: int | None) -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal's standard error while a long text is scored; else nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal or (size is not None and size < LONG):
        yield None
        return
    columns = BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=size)
        yield lambda n: bar.advance(task, n)
