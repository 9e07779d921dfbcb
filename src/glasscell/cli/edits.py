"""`--edits`: a command's model runs under the edits of a file."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glasscell.errors import InputError, UserError

if TYPE_CHECKING:
    from torch import nn

Edits = Annotated[
    Path | None,
    typer.Option(
        "--edits",
        metavar="FILE",
        help="Change gates and states meanwhile: edits as `glasscell.save_edits` writes them.",
    ),
]


def edited(model: nn.Module, file: Path | None) -> AbstractContextManager:
    """Lets the edits of a file hold while a block runs; none without a file.

    Raises:
        UserError: no such file, no edits in it, or none that this model can have.
    """
    if file is None:
        return nullcontext()
    from glasscell.tracing import edit, load_edits

    try:
        return edit(model, load_edits(file))
    except (FileNotFoundError, InputError) as error:
        sentence = str(error)
        raise UserError(sentence if str(file) in sentence else f"{file}: {sentence}") from None
