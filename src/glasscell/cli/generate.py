"""`glasscell generate`: let a trained model write."""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from glasscell.cli.edits import Edits, edited


def generate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A model folder.")],
    prompt: Annotated[str, typer.Option(help="What the text begins with.")] = "",
    length: Annotated[int, typer.Option("--length", "-n", help="How many tokens to write.")] = 500,
    temperature: Annotated[
        float,
        typer.Option(
            help="Below 1 is bolder towards the probable; 0 always takes the most probable."
        ),
    ] = 0.8,
    top_k: Annotated[
        int | None, typer.Option(help="Draw from the K most probable tokens only.")
    ] = None,
    top_p: Annotated[
        float, typer.Option(help="Draw from the fewest tokens that add up to probability P.")
    ] = 1.0,
    seed: Annotated[int | None, typer.Option(help="The same seed writes the same text.")] = None,
    edits: Edits = None,
) -> None:
    """Let a trained model write, from a prompt on.

    **Examples**

        glasscell generate runs/book --prompt "Once upon a time" --length 1000

        glasscell generate runs/book --temperature 0.5 --top-k 20 --seed 1
    """
    from glasscell.training import load_text

    model = load_text(run)
    pieces = model.stream(
        prompt, length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
    )
    with edited(model.model, edits):
        for piece in chain([prompt], pieces, ["\n"]):
            sys.stdout.write(piece)
            sys.stdout.flush()
