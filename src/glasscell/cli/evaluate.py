"""`glasscell evaluate`: how well a trained model predicts a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glasscell.cli.edits import Edits, edited
from glasscell.errors import UserError

if TYPE_CHECKING:
    from glasscell.tasks.language.vocabulary import Text
    from glasscell.training import LanguageRun

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
        bool, typer.Option("--skip-unknown", help="Leave out characters it has never seen.")
    ] = False,
    streams: Annotated[
        int | None,
        typer.Option(
            help="Stretches of text read side by side; 1 reads straight through.",
            show_default="1 to 32, by length",
        ),
    ] = None,
    edits: Edits = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score a text: bits per character, and perplexity for words.

    **Examples**

        glasscell evaluate runs/book

        glasscell evaluate runs/book other.txt --json

        glasscell evaluate runs/book --edits without-unit-3.json
    """
    from glasscell.tasks.language import UnknownCharacters
    from glasscell.training import load

    model = load(run)
    try:
        with edited(model.model, edits), _progress(_size(model, files)) as progress:
            score = model.evaluate(
                _blocks(model, files),
                streams=streams,
                skip_unknown=skip_unknown,
                progress=progress,
            )
    except UnknownCharacters as error:
        them = "it" if len(error.characters) == 1 else "them"
        raise UserError(f"{error}; --skip-unknown leaves {them} out") from None
    if as_json:
        import json

        print(json.dumps(score.as_dict()))
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
