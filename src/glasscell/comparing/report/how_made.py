"""How a comparison was made, in sentences for its page."""

from __future__ import annotations

import sys

import torch

from glasscell.comparing.plan import ComparisonPlan
from glasscell.comparing.times_in_words import in_words
from glasscell.comparing.workloads import Workload
from glasscell.version import __version__


def how_made(plan: ComparisonPlan, workload: Workload, jobs: int) -> tuple[str, ...]:
    """What a reader should know of its trainings.

    Args:
        plan: with the limit of each training.
        workload: what was trained on.
        jobs: trainings at once.
    """
    at_once = "one at a time" if jobs == 1 else f"up to {jobs} at once"
    if plan.limit.steps is not None:
        length = f"each training made exactly {plan.limit.steps:,} updates, however long they took"
    else:
        assert plan.budget is not None
        length = (
            f"each training had {plan.limit.told()}, so that a faster cell made more of them; "
            f"{in_words(plan.budget)} were given for everything"
        )
    facts = [
        length,
        f"trainings ran {at_once}, each in a process of one thread; "
        f"Python {sys.version.split()[0]}, torch {torch.__version__}, glasscell {__version__}",
    ]
    if plan.tuning:
        what = ", ".join(("learning rate", *workload.choices))
        facts.append(f"Optuna chose {what} for each cell, by the validation part alone")
    return tuple(facts)
