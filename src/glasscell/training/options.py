"""What a caller gives in one: options of the model, of the recipe, of the hardware."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

from glasscell.training.hardware import is_helper_process
from glasscell.training.model_folder import FolderWriter

PATH = str | os.PathLike[str]


def take_options(cls: type, options: dict[str, Any], *without: str) -> dict[str, Any]:
    """Takes the fields of a dataclass out of the options; None means the default.

    Args:
        without: fields that are not the caller's to give.
    """
    names = {field.name for field in fields(cls)} - {*without}
    taken = {name: options.pop(name) for name in names & options.keys()}
    return {name: value for name, value in taken.items() if value is not None}


def folder_writer(out: PATH, *, force: bool) -> FolderWriter:
    """The writer of a new model folder, in whichever of a run's processes."""
    if is_helper_process():
        return FolderWriter.reopen(out)  # the first process made the folder, and alone writes
    return FolderWriter(out, replace=force)
