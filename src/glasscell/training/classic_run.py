"""A model trained on a classic task, ready to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import glasscell.version
from glasscell.errors import UserError
from glasscell.tasks.classic import ClassicTask, SequenceModel, task_of
from glasscell.tasks.classic.counting import Blocks
from glasscell.tasks.models import evaluating, telling_of_memory
from glasscell.training.model_folder import FORMAT, METRICS, FolderError, load_weights, read_json

AT_ONCE = 500  # sequences that are scored side by side


@dataclass(frozen=True)
class ClassicScore:
    """How well a model does a task.

    Attributes:
        task: what it was asked, of which length.
        sequences: how many were drawn.
        score: in the task's own measure.
        details: further shares, 0 to 1, by what they are of.
        reach: how far it counts, of a task that counts: see `Anbn.reach`.
    """

    task: ClassicTask
    sequences: int
    score: float
    details: dict[str, float]
    reach: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        task = self.task
        told = {
            "task": task.name,
            **asdict(task),
            "sequences": self.sequences,
            "measure": task.measure,
            "score": self.score,
            "chance": task.chance,
            "optimum": task.optimum,
            "details": self.details,
        }
        return told if self.reach is None else {**told, "reach": self.reach}


@dataclass
class ClassicRun:
    """A model trained on a classic task.

    Attributes:
        model: the weights that scored best, in evaluation mode.
        task: what it was trained on.
        metrics: how training went: see metrics.json.
        path: the model folder, where there is one.
        config: what config.json says.
    """

    model: SequenceModel
    task: ClassicTask
    metrics: dict[str, Any]
    path: Path | None = None
    config: dict[str, Any] = field(default_factory=dict)

    def evaluate(
        self, *, T: int | None = None, sequences: int = 1000, seed: int = 0
    ) -> ClassicScore:
        """The score on sequences that training has not seen.

        Args:
            T: their length, as the task means it; that of training if absent.
            sequences: how many.
            seed: of the sequences.

        Raises:
            UserError: a length that the task cannot have, or no sequences.
        """
        if sequences < 1:
            raise UserError(f"sequences: expected at least 1, got {sequences}")
        task = self.task if T is None else task_of(self.task.name, **{**_options(self), "T": T})
        # Not the seed itself: training draws from it.
        generator = torch.Generator().manual_seed((seed + 2**31) % 2**32)
        sums: dict[str, float] = {}
        with telling_of_memory(), evaluating(self.model):
            for start in range(0, sequences, AT_ONCE):
                size = min(AT_ONCE, sequences - start)
                batch = task.batch(size, generator).to(self.model.head.weight.device)
                outputs = self.model(batch.inputs, lengths=batch.lengths)
                found = {"": task.score(outputs, batch), **task.details(outputs, batch)}
                sums = {k: sums.get(k, 0.0) + v * size for k, v in found.items()}
        means = {name: total / sequences for name, total in sums.items()}
        score = means.pop("")
        return ClassicScore(task, sequences, score, means, reach_of(task, self.model))

    @classmethod
    def read(cls, folder: Path, config: dict[str, Any]) -> ClassicRun:
        """Reads a model folder whose config.json has been read."""
        try:
            task = task_of(**config["classic"])
            # First weights are drawn, and replaced below.
            with telling_of_memory(), torch.random.fork_rng(devices=[]):
                model = SequenceModel(task, **config["model"])
        except (KeyError, TypeError, ValueError) as error:
            raise FolderError(
                f"{folder} is damaged: its description of the model: {error}"
            ) from None
        load_weights(model, folder)
        return cls(model.eval(), task, read_json(folder, METRICS), folder, config)


def classic_config(
    task: ClassicTask, model: dict[str, Any], training: dict[str, Any]
) -> dict[str, Any]:
    """What config.json of a model of a classic task says."""
    return {
        "format": FORMAT,
        "task": "classic",
        "glasscell": glasscell.version.__version__,
        "torch": torch.__version__,
        "classic": {"name": task.name, **asdict(task)},
        "model": model,
        "training": training,
    }


def reach_of(task: ClassicTask, model: SequenceModel) -> int | None:
    """How far a model counts; None of a task that does not count."""
    return task.reach(model) if isinstance(task, Blocks) else None


def figure(task: ClassicTask, value: float) -> str:
    """A score as people read it: shares in per cent."""
    return f"{value:.1%}" if task.goal == "higher" else f"{value:.4f}" if value else "0"


def levels(task: ClassicTask) -> str:
    """What a score is to be compared with."""
    return f"chance {figure(task, task.chance)}, optimum {figure(task, task.optimum)}"


def told_details(details: Mapping[str, float]) -> str:
    """The further shares, in per cent."""
    return ", ".join(f"{name} {share:.1%}" for name, share in details.items())


def _options(run: ClassicRun) -> dict[str, Any]:
    return asdict(run.task)
