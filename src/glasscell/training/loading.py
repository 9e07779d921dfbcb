"""Opening a model folder, whatever task it was trained for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from glasscell.training.classic_run import ClassicRun
from glasscell.training.language_run import LanguageRun
from glasscell.training.model_folder import FolderError, read_config
from glasscell.training.series_run import SeriesRun

# A new task is one class with a `read(folder, config)` and one row.
TASKS = {"language": LanguageRun, "classic": ClassicRun, "series": SeriesRun}


def load(path: str | os.PathLike[str]) -> Any:
    """The trained model in a folder, with all that is needed to use it. Nothing is unpickled.

    Returns:
        What its task has: a `LanguageRun` for text, a `SeriesRun` for series, a `ClassicRun` for a
        classic task.

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


def load_text(path: str | os.PathLike[str]) -> LanguageRun:
    """The language model in a folder.

    Raises:
        FolderError: as `load`, or the model is for another task than text.
    """
    run = load(path)
    if not isinstance(run, LanguageRun):
        task = run.config["task"]
        raise FolderError(f"{path} holds a model for the task {task!r}, which reads no text")
    return run
