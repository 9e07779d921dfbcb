"""What is compared on, as a caller names it, as the plain data that a workload is made from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glasscell.errors import UserError

TAKEN = {"text": ("level",), "series": ("target", "time"), "classic": ("T",)}


def description_of(task: str, source: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The description that `read_workload` takes.

    Args:
        task: "text", "series" or "classic".
        source: files, a file, or the name of a classic task.
        options: of the task; one that is None counts as not given.

    Raises:
        UserError: there is no such task, or there are several files where one is meant.
        TypeError: an option that the task does not have.
    """
    if task not in TAKEN:
        raise UserError(f"task: expected one of {', '.join(TAKEN)}, got {task!r}")
    if unknown := sorted(options.keys() - set(TAKEN[task])):
        raise TypeError(f"compare: {task} has no options {', '.join(unknown)}")
    given = {name: value for name, value in options.items() if value is not None}
    if task == "classic":
        return {"task": task, "name": source, **given}
    names = [source] if isinstance(source, str | os.PathLike) else list(source)
    files = [str(Path(name).absolute()) for name in names]
    if task == "text":
        return {"task": task, "files": files, **given}
    if len(files) != 1:
        raise UserError(f"series: expected one file, got {len(files)}")
    return {"task": task, "file": files[0], **given}
