"""What a run on a classic task writes as it goes on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from glasscell.tasks.classic import ClassicTask
from glasscell.tasks.generated import is_better
from glasscell.training.generated_checkpoint import write_loop
from glasscell.training.generated_loop import GeneratedLoop
from glasscell.training.generated_recipe import Measured
from glasscell.training.model_folder import METRICS, FolderWriter, write_weights


class ClassicFolder:
    """Writes the model folder after each measurement.

    `model.safetensors` is always the model that scored best; of several as good, the one with the
    lowest loss. `last.ckpt` is where the run stands.
    """

    def __init__(self, writer: FolderWriter, task: ClassicTask) -> None:
        self.writer, self.task = writer, task

    def measured(self, loop: GeneratedLoop) -> None:
        """After a measurement: keeps the model if it is the best yet."""
        if self.best(loop) is loop.history[-1]:
            write_weights(self.writer, loop.model.state_dict())
        self._write(loop)

    def stopped(self, loop: GeneratedLoop) -> None:
        """Between two steps: writes where the run stands, and the model as it is if there is none.

        Raises:
            InputError: the loss is not a number any more; nothing is written.
        """
        loop.check()
        if not self.writer.published:
            write_weights(self.writer, loop.model.state_dict())
        self._write(loop)

    def _write(self, loop: GeneratedLoop) -> None:
        self.writer.write(METRICS, self.metrics(loop))
        write_loop(self.writer, loop)
        self.writer.publish()

    def best(self, loop: GeneratedLoop) -> Measured | None:
        """The best measurement so far."""
        best = None
        for each in loop.history:
            if best is None or self._is_better(each, best):
                best = each
        return best

    def _is_better(self, one: Measured, other: Measured) -> bool:
        if one.score == other.score:
            return one.loss < other.loss
        return is_better(one.score, other.score, self.task.goal)

    def metrics(self, loop: GeneratedLoop) -> dict[str, Any]:
        """What metrics.json says."""
        best, task = self.best(loop), self.task
        return {
            "measure": task.measure,
            "score": best.score if best else None,
            "chance": task.chance,
            "optimum": task.optimum,
            "details": dict(best.details) if best else {},
            "best_step": best.step if best else 0,
            "step": loop.step,
            "seconds": round(loop.seconds, 2),
            "history": [
                {**asdict(each), "seconds": round(each.seconds, 2)} for each in loop.history
            ],
        }
