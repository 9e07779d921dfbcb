"""What a process of a comparison does: train one cell from one seed, and measure it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glasscell.comparing.folder import RUNS
from glasscell.comparing.models import Size, parameters
from glasscell.comparing.trainings.run import Run, file_name
from glasscell.comparing.trainings.timed import Limit, Look, Timed, tokens_per_second, train
from glasscell.comparing.workloads import Workload
from glasscell.files import write_file
from glasscell.training.diverged import TrainingDiverged

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
    timed = Timed()

    def ended(status: str, **more: Any) -> Run:
        return Run(
            **{
                "cell": cell,
                "seed": seed,
                "size": size,
                "parameters": parameters(model),
                "status": status,
                "looks": tuple(timed.looks),
                "updates": timed.updates,
                "seconds": timed.seconds,
                "learning_rate": rate,
                "wall_seconds": time.monotonic() - began,
                **more,
            }
        )

    try:
        train(model, workload, limit, learning_rate=rate, seed=seed, done=timed, watch=watch)
    except TrainingDiverged as error:
        return ended("diverged", why=str(error), updates=error.step)
    score = workload.test(model)
    if not math.isfinite(score):
        return ended("diverged", why=f"the score of the test part is {score}")
    if folder is not None:
        from safetensors.torch import save

        weights = {name: t.contiguous() for name, t in model.state_dict().items()}
        write_file(folder / RUNS / f"{file_name(cell, seed)}.safetensors", save(weights))
    median, longest = memory(model, workload)
    inference_speed = tokens_per_second(model, workload)
    return ended(
        "done",
        score=score,
        training_speed=workload.tokens_per_update * timed.updates / timed.seconds,
        inference_speed=inference_speed,
        memory_steps=median,
        longest_steps=longest,
    )


def memory(model: nn.Module, workload: Workload) -> tuple[float | None, float | None]:
    """How long the units remember: the median, and what nine in ten stay below. Infinite of units
    that never forget; None for a cell that writes its whole state anew at each step."""
    from glasscell.analysis import memory_span
    from glasscell.tracing import trace

    with torch.no_grad(), trace(model) as recorded:
        workload.read(model)
    _, layer = next(iter(recorded.items()))
    if layer.carry() is None:
        return None, None
    spans = memory_span(layer)
    found = spans.quantile(torch.tensor([0.5, 0.9], dtype=spans.dtype), interpolation="nearest")
    median, longest = (None if v.isnan() else float(v) for v in found)
    return median, longest
