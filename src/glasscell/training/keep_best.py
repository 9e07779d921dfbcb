"""After each validation: keep the weights if they are the best yet, and know when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl

from glasscell.training.model_folder import CHECKPOINT, METRICS, FolderWriter, write_weights
from glasscell.training.run_module import RunModule


class KeepBest(pl.Callback):
    """Writes the model folder as a run goes on.

    `model.safetensors` is always the model with the lowest validation loss; `last.ckpt` is where
    the run stands. Training stops when the plan is done, or when `patience` validations in a row
    have brought nothing better.

    Args:
        writer: the model folder.
        figures: a validation loss in the units that people compare, by name.
    """

    def __init__(self, writer: FolderWriter, figures: Callable[[float], dict[str, float]]) -> None:
        self.writer = writer
        self.figures = figures
        self.best = math.inf
        self.best_step = 0
        self.waited = 0
        self.history: list[dict[str, float]] = []
        self.has_model = writer.published

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, RunModule)
        loss, step = pl_module.validation_loss, pl_module.step
        self.history.append(
            {"step": step, "seconds": round(pl_module.seconds, 2), **self.figures(loss)}
        )
        better = loss < self.best
        if better:
            self.best, self.best_step, self.waited = loss, step, 0
        else:
            self.waited += 1
        plan = pl_module.plan
        patience = plan.recipe.patience
        over = plan.is_over(step, pl_module.budgeted_seconds)
        stopped_early = not over and 0 < patience <= self.waited
        if over or stopped_early:
            trainer.should_stop = True
        if better:
            self.write_model(trainer, pl_module)
        elif trainer.is_global_zero:
            self.writer.write(METRICS, self.metrics(pl_module))
        trainer.save_checkpoint(self.writer.place / CHECKPOINT, weights_only=False)

    def write_model(self, trainer: pl.Trainer, module: RunModule) -> None:
        """Writes the weights as they are now; the first time, the folder takes its place."""
        weights = trainer.strategy.lightning_module_state_dict()
        if trainer.is_global_zero:
            write_weights(
                self.writer,
                {name.removeprefix("model."): tensor for name, tensor in weights.items()},
            )
            self.writer.write(METRICS, self.metrics(module))
            self.writer.publish()
        self.has_model = True

    def metrics(self, module: RunModule) -> dict[str, Any]:
        """What metrics.json says."""
        return {
            "validation": self.figures(self.best) if math.isfinite(self.best) else None,
            "best_step": self.best_step,
            "step": module.step,
            "epoch": round(module.step / module.plan.steps_per_epoch, 3),
            "seconds": round(module.seconds, 2),
            "history": self.history,
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_step": self.best_step,
            "waited": self.waited,
            "history": self.history,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)
