"""What a process of a comparison does: train one cell from one seed, and measure it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glasscell.comparing.models import Size, parameters
from glasscell.comparing.run import RUNS, Run, file_name
from glasscell.comparing.timed import LOOKS, Limit, Look, tokens_per_second, train
from glasscell.comparing.workloads import Workload
from glasscell.files import write_file
from glasscell.training.diverged import TrainingDiverged

PROBED = 0.5  # seconds of the processor that a probe spends in updates, if they are short

Watch = Callable[[float, Look | None], None]


def first_weights(workload: Workload, cell: str, size: Size, seed: int) -> nn.Module:
    """A model as it begins; a seed gives it always the same weights."""
    torch.manual_seed(seed)
    return workload.model(cell, size)


def train_one(
    workload: Workload,
    cell: str,
    size: Size,
    seed: int,
    limit: Limit,
    *,
    learning_rate: float | None = None,
    folder: Path | None = None,
    watch: Watch = lambda done, look: None,
) -> Run:
    """Trains, scores and times one model.

    Args:
        learning_rate: the highest; the workload's if absent.
        folder: the comparison's, where the weights are written; None keeps none.
        watch: as for `timed.train`.

    Returns:
        The run; one that diverged says so.
    """
    began = time.monotonic()
    rate = learning_rate or workload.learning_rate(cell, size.hidden)
    model = first_weights(workload, cell, size, seed)
    run: dict[str, Any] = {
        "cell": cell,
        "seed": seed,
        "size": size,
        "parameters": parameters(model),
        "learning_rate": rate,
    }
    looks: list[Look] = []

    def watch_and_note(done: float, look: Look | None) -> None:
        if look is not None:
            looks.append(look)
        watch(done, look)

    try:
        timed = train(model, workload, limit, learning_rate=rate, seed=seed, watch=watch_and_note)
    except TrainingDiverged as error:
        wall = time.monotonic() - began
        return Run(
            **run, status="diverged", why=str(error), looks=tuple(looks), updates=error.step,
            wall_seconds=wall,
        )  # fmt: skip
    score = workload.test(model)
    if not math.isfinite(score):
        why = f"the score of the test part is {score}"
        return Run(**run, status="diverged", why=why, looks=tuple(looks), updates=timed.updates)
    if folder is not None:
        from safetensors.torch import save

        weights = {name: t.contiguous() for name, t in model.state_dict().items()}
        write_file(folder / RUNS / f"{file_name(cell, seed)}.safetensors", save(weights))
    median, longest = memory(model, workload)
    return Run(
        **run,
        status="done",
        score=score,
        looks=tuple(timed.looks),
        updates=timed.updates,
        seconds=timed.seconds,
        training_speed=workload.tokens_per_update * timed.updates / timed.seconds,
        inference_speed=tokens_per_second(model, workload),
        memory_steps=median,
        longest_steps=longest,
        wall_seconds=time.monotonic() - began,
    )


def memory(model: nn.Module, workload: Workload) -> tuple[float | None, float | None]:
    """How long the units remember: the median, and what nine in ten stay below; None for a cell
    that writes its whole state anew at each step, or where one never lets go."""
    from glasscell.analysis import memory_span
    from glasscell.tracing import trace

    with torch.no_grad(), trace(model) as recorded:
        workload.read(model)
    _, layer = next(iter(recorded.items()))
    if layer.carry() is None:
        return None, None
    spans = memory_span(layer)
    found = spans.quantile(torch.tensor([0.5, 0.9], dtype=spans.dtype), interpolation="nearest")
    median, longest = (float(v) if v.isfinite() else None for v in found)
    return median, longest


def probe(workload: Workload, cell: str, size: Size) -> dict[str, float]:
    """A short look at how long things take.

    Returns:
        `update`: seconds of the processor an update; `stretch`: how many seconds pass by the wall
        in one of the processor, which is more than 1 where others use it too; `around`: seconds by
        the wall that a training takes beside its updates: validations, the test, and what is
        measured of the model.
    """
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
    rest = time.monotonic() - start + 0.3
    return {
        "update": timed.seconds / timed.updates,
        "stretch": max(1.0, wall / processor),
        "around": LOOKS * look + rest,
    }
