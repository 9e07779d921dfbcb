"""`glasscell evaluate`: how well a trained model predicts a text."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer


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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score a text: bits per character, and perplexity for words.

    **Examples**

        glasscell evaluate runs/book

        glasscell evaluate runs/book other.txt --json
    """
    from glasscell.errors import UserError
    from glasscell.tasks.language import UnknownCharacters, text_blocks
    from glasscell.training import load

    model = load(run)
    as_bytes = model.vocabulary.level == "byte"
    text = None
    if files:
        text = chain.from_iterable(text_blocks(file, as_bytes=as_bytes) for file in files)
    try:
        score = model.evaluate(text, streams=streams, skip_unknown=skip_unknown)
    except UnknownCharacters as error:
        raise UserError(f"{error}; --skip-unknown leaves them out") from None
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
