"""A short look at how long things take, by which a budget of time is shared out."""

from __future__ import annotations

import time
from dataclasses import dataclass

from glasscell.comparing.models import Size
from glasscell.comparing.trainings.timed import (
    LOOKS,
    READING,
    Limit,
    Look,
    tokens_per_second,
    train,
)
from glasscell.comparing.trainings.train_one import first_weights, memory
from glasscell.comparing.workloads import Workload

PROBED = 0.5  # seconds of processor time that a probe spends in updates, if they are short


@dataclass(frozen=True)
class Pace:
    """How long the training of a cell takes here.

    Attributes:
        update: seconds of processor time an update.
        stretch: how many seconds of wall-clock time pass in one of processor time: more than 1
            where others use the processor too.
        around: seconds of wall-clock time that a training takes beside its updates: validations,
            the test, and what is measured of the model.
    """

    update: float
    stretch: float
    around: float


def probe(workload: Workload, cell: str, size: Size) -> Pace:
    """Trains a cell for a moment, and measures what a whole training will take."""
    model = first_weights(workload, cell, size, 0)
    clocks: list[tuple[float, float]] = []

    def watch(done: float, look: Look | None) -> None:
        if look is None:
            clocks.append((time.monotonic(), time.process_time()))

    once = train(model, workload, Limit(steps=1), learning_rate=1e-4, seed=0, looks=1).seconds
    few = Limit(steps=min(40, max(4, round(PROBED / once))))
    timed = train(model, workload, few, learning_rate=1e-4, seed=0, looks=1, watch=watch)
    wall, processor = (last - first for first, last in zip(clocks[0], clocks[-1], strict=True))
    start = time.monotonic()
    workload.validation(model)
    look = time.monotonic() - start
    start = time.monotonic()
    workload.test(model)
    tokens_per_second(model, workload, 0.05)
    memory(model, workload)
    # A training measures its speed of reading for longer than the moment that was taken here.
    rest = time.monotonic() - start + READING
    return Pace(
        update=timed.seconds / timed.updates,
        stretch=max(1.0, wall / processor),
        around=LOOKS * look + rest,
    )
