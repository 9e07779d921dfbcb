"""Opening a model folder, whatever task it was trained for."""

from __future__ import annotations

import os
from pathlib import Path

from glasscell.training.language_run import LanguageRun
from glasscell.training.model_folder import FolderError, read_config

# A new task is one class with a `read(folder, config)` and one row.
TASKS = {"language": LanguageRun}


def load(path: str | os.PathLike[str]) -> LanguageRun:
    """The trained model in a folder, with all that is needed to use it. Nothing is unpickled.

    Raises:
        FolderError: the folder is missing, damaged, of something else, or of a newer version.
    """
    folder = Path(path)
    config = read_config(folder)
    task = config["task"]
    if task not in TASKS:
        raise FolderError(
            f"{folder} holds a model for the task {task!r}, which this version does not know"
        )
    return TASKS[task].read(folder, config)
