"""`glasscell explain`: one step written out with its numbers, of a trained model or an example;
and what each kind of cell is.
"""

from __future__ import annotations

import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glasscell.errors import InputError, UserError
from glasscell.examples import EXAMPLES, tell_example

if TYPE_CHECKING:
    from glasscell.explaining import Explanation

WIDTHS = (60, 100)  # columns: narrower and wider text reads badly
WITHOUT_TERMINAL = 88


class Format(StrEnum):
    text = "text"
    markdown = "markdown"
    html = "html"


ENDINGS = {
    ".txt": Format.text,
    ".md": Format.markdown,
    ".html": Format.html,
    ".htm": Format.html,
    "": Format.text,
}


def explain(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="A model folder.", show_default=False)
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", "-t", help="The text that the model reads.")
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(
            "--step",
            "-k",
            metavar="K,...",
            help="Which steps, from 0; -1 is the last.",
            show_default="the last",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="The layer, by name or number.", show_default="the topmost"),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            metavar="U,...", help="Which units to show.", show_default="the first and the last"
        ),
    ] = None,
    example: Annotated[
        str | None,
        typer.Option(
            "--example",
            "-e",
            metavar="NAME",
            help=f"An example in place of a model: {', '.join(EXAMPLES)}.",
        ),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            "--cell",
            "-c",
            metavar="CELL",
            help="What a cell is, in place of a model: a variant's name, or a line such as "
            '"lstm(forget_gate=None)".',
            show_default=False,
        ),
    ] = None,
    cells: Annotated[
        bool, typer.Option("--cells", help="All variants that have a name, in a table.")
    ] = False,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="How it is written.", show_default="after FILE, or text"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it here.")
    ] = None,
) -> None:
    """Write out one step of a cell: every matrix, product and gate, with its numbers and sizes.

    **Examples**

        glasscell explain --example forget-layer

        glasscell explain --cell janet

        glasscell explain runs/book --text "Once upon" --step 3 --units 3,5

        glasscell explain runs/book --text "Once upon" --out step.html
    """
    from glasscell.files import refuse_unwritable, write_file

    form = form or _form_of(out)
    if out is not None:
        refuse_unwritable(out)  # before anything long is read
    of_model = {"RUN": run, "--text": text, "--step": step, "--layer": layer, "--units": units}
    alone = {"--example": example, "--cell": cell, "--cells": cells or None}
    asked = [name for name, value in alone.items() if value is not None]
    beside = [name for name, value in of_model.items() if value is not None]
    if asked and (asked[1:] or beside):
        others = " and no ".join(asked[1:] + beside)
        raise UserError(f"{asked[0]} needs no {others}: choose one")
    if example is not None:
        found = _example(example)
    elif cell is not None:
        found = _card(cell)
    elif cells:
        from glasscell.explaining import listed

        found = listed()
    else:
        found = _of_model(run, text, step, layer, units)
    if form is Format.text:
        written = found.text(_width() if out is None else WITHOUT_TERMINAL)
    else:
        written = found.markdown() if form is Format.markdown else found.html()
    if out is None:
        print(written, end="")
    else:
        write_file(out, written.encode("utf-8", "replace"))
        print(f"The explanation is in {out}.")


def _form_of(out: Path | None) -> Format:
    """What a file's name says of its format: text, if it says nothing."""
    ending = "" if out is None else out.suffix.lower()
    if ending not in ENDINGS:
        known = ", ".join(each for each in ENDINGS if each)
        raise UserError(
            f"out: {out} has an ending that names no format; known are {known}, or say which "
            "with --format"
        )
    return ENDINGS[ending]


def _width() -> int:
    if not (sys.stdout.isatty() or "COLUMNS" in os.environ):
        return WITHOUT_TERMINAL
    low, high = WIDTHS
    return max(low, min(high, shutil.get_terminal_size().columns))


def _example(name: str) -> Explanation:
    if name not in EXAMPLES:
        raise UserError(f"example: expected one of {', '.join(EXAMPLES)}, got {name!r}")
    return tell_example(name)


def _card(cell: str) -> Explanation:
    from glasscell.explaining import card
    from glasscell.nn.lines import split_outside

    if len(split_outside(cell, "+")) > 1:
        raise UserError(
            f"cell: a card is of a cell alone, without options after a plus; got {cell!r}"
        )
    try:
        return card(cell)
    except InputError as error:
        raise UserError(str(error)) from None


def _of_model(
    run: Path | None, text: str | None, step: str | None, layer: str | None, units: str | None
) -> Explanation:
    if run is None:
        raise UserError(
            "name a model folder, or an example with --example forget-layer, or a cell with "
            "--cell janet"
        )
    if text is None:
        raise UserError('say what the model reads, with --text "..."')
    steps = [-1] if step is None else _numbers("step", step)
    wanted = None if units is None else _numbers("units", units)

    from glasscell.cli.explain_model import explain_model
    from glasscell.training import load_text

    return explain_model(load_text(run), text, steps, layer, wanted)


def _numbers(name: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{name}: expected numbers such as 3 or 3,5, got {text!r}") from None
