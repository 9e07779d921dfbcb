"""What a command that goes on with a run takes, and what it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer


def place_to_resume(
    out: Path | None, given: Sequence[str], *, force: bool, changes: str = "how long to train"
) -> Path:
    """The folder of a run that is gone on with.

    Args:
        out: as it was given.
        given: the options and arguments that a resumed run has of its own, as they were given.
        force: whether it was asked to replace the folder.
        changes: what may be given.

    Raises:
        BadParameter: no folder, or something that cannot be given.
    """
    if out is None:
        raise typer.BadParameter("say which run to resume with --out")
    if force:
        raise typer.BadParameter("--resume goes on with a run and --force replaces it: choose one")
    if given:
        raise typer.BadParameter(
            f"a resumed run keeps its own choices, so {', '.join(given)} cannot be given; only "
            f"{changes} can change"
        )
    return out


def as_options(choices: dict[str, object]) -> list[str]:
    """Those that were given, as they stand on the command line."""
    return ["--" + name.replace("_", "-") for name, value in choices.items() if value is not None]
