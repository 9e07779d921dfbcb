"""`glasscell inspect`: what a trained model's gates and cells do with a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glasscell.cli.edits import Edits, edited
from glasscell.errors import UserError

if TYPE_CHECKING:
    from glasscell.tasks.language.vocabulary import Text
    from glasscell.tracing import Trace
    from glasscell.training import LanguageRun

DEFAULT_STEPS = 1000  # of the held-out text, where none is given


def inspect(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A model folder.")],
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            "-t",
            help="The text to read.",
            show_default="the beginning of the held-out end of its own text",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", "-f", help="A file to read; - is standard input.", metavar="FILE"),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", "-r", help="Write a page to look into it: OUT.html."),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="The layer in the table, by name or number.", show_default="the topmost"),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Units named a gate, and cells.")] = 1,
    rows: Annotated[
        int, typer.Option("--rows", "-n", min=0, help="Rows of the table; 0 for all.")
    ] = 40,
    limit: Annotated[int, typer.Option(min=1, help="Tokens read, at most.")] = 5000,
    edits: Edits = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, every step of it.")] = False,
) -> None:
    """Look inside a trained model while it reads a text.

    Token by token: what it expected next, how surprised it was, which gates were most open and most
    shut (i17 is the input gate of unit 17), and which cells moved most.

    **Examples**

        glasscell inspect runs/book --text "Once upon a time"

        glasscell inspect runs/book --file chapter.txt --report chapter.html
    """
    from glasscell.cli.inspect_steps import as_dict, print_table
    from glasscell.cli.reading import read, write_report
    from glasscell.files import refuse_unwritable
    from glasscell.training import load_text

    if report is not None:
        refuse_unwritable(report)  # before anything long is read or printed
    model = load_text(run)
    with edited(model.model, edits):
        reading = read(model, _text_of(model, text, file), limit=limit)
    name = _layer_name(reading.trace, layer)
    if as_json:
        import json

        print(json.dumps(as_dict(reading, name, top)))
    else:
        print_table(reading, name, top, rows)
    if report is not None:
        write_report(report, reading, title=f"Inside {run.resolve().name}")
        if not as_json:
            print(f"The report is in {report}; open it in a browser.")


def _text_of(model: LanguageRun, text: str | None, file: str | None) -> Text:
    from glasscell.tasks.language import read_texts
    from glasscell.tasks.language.vocabulary import as_bytes

    reads_bytes = model.vocabulary.reads_bytes
    if text is not None and file is not None:
        raise UserError("give --text or --file, not both")
    if text is not None:
        return as_bytes(text) if reads_bytes else text
    if file is not None:
        return read_texts([file], as_bytes=reads_bytes)
    return model.test_text[:DEFAULT_STEPS]


def _layer_name(trace: Trace, wanted: str | None) -> str:
    if wanted is None:
        return trace.names[-1]
    for name in trace.names:
        if wanted in (name, name.rpartition(".")[2], name.rpartition(".l")[2]):
            return name
    raise UserError(f"layer: expected one of {', '.join(trace.names)}, got {wanted!r}")
