"""Every classic task, as a person asks for it: by its name."""

from __future__ import annotations

from dataclasses import asdict, replace
from difflib import get_close_matches
from typing import Any

from glasscell.errors import InputError, UserError
from glasscell.tasks.classic.adding import Adding
from glasscell.tasks.classic.copying import Copy
from glasscell.tasks.classic.counting import Anbn, Anbncn
from glasscell.tasks.classic.dyck import Dyck2
from glasscell.tasks.classic.parity import Parity
from glasscell.tasks.classic.reber import Reber
from glasscell.tasks.classic.task import ClassicTask
from glasscell.tasks.classic.temporal_order import TemporalOrder
from glasscell.tasks.classic.turnstile import Turnstile

LARGEST = 1_000_000  # of a task's numbers, such as T: more than anyone can wait for

TASKS: dict[str, type[ClassicTask]] = {
    task.name: task
    for task in (
        Reber,
        Copy,
        Anbn,
        Anbncn,
        Parity,
        Dyck2,
        Adding,
        TemporalOrder,
        Turnstile,
    )
}


def task_of(name: str, **options: Any) -> ClassicTask:
    """A task by its name.

    Args:
        name: one of `glasscell.tasks.classic.TASKS`.
        options: T, and what else the task has to choose.

    Raises:
        UserError: there is no such task, or it has no such option, or cannot have this value.
    """
    if name not in TASKS:
        near = get_close_matches(str(name).replace("-", "_"), TASKS, 3)
        like = f" (do you mean {' or '.join(near)}?)" if near else ""
        raise UserError(f"task: expected one of {', '.join(TASKS)}, got {name!r}{like}")
    own = asdict(TASKS[name]())
    for option, value in options.items():
        if option not in own:
            raise UserError(f"{option}: {name} has no such choice, only {', '.join(own)}")
        if not isinstance(value, int) or isinstance(value, bool):
            raise UserError(f"{option}: expected a whole number, got {value!r}")
        if value > LARGEST:
            raise UserError(f"{option}: expected at most {LARGEST:,}, got {value}")
    try:
        return replace(TASKS[name](), **options)
    except InputError as error:
        raise UserError(str(error)) from None
