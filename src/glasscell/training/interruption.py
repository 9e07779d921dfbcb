"""Stopping Lightning's loop at a signal, without losing anything."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl

from glasscell.training.keep_best import KeepBest
from glasscell.training.model_folder import CHECKPOINT
from glasscell.training.run_module import RunModule
from glasscell.training.signals import Interrupted as Interrupted
from glasscell.training.signals import Signals


class StopAsked(Exception):
    """Ends Lightning's loop after everything has been written."""


class StopSignals(Signals, pl.Callback):
    """Lets the step in progress finish, writes everything, and stops."""

    def __init__(self, keep_best: KeepBest) -> None:
        super().__init__()
        self.keep_best = keep_best

    # Lightning puts a handler of its own in place just before these, which would stop elsewhere.

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.listen_again()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.listen_again()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._act(trainer, pl_module)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        self._act(trainer, pl_module)

    def _act(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        asked = self.received is not None
        if trainer.world_size > 1:  # all processes stop after the same step
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if not asked:
            return
        assert isinstance(module, RunModule)
        module.guard.check()
        if not self.keep_best.has_model:
            self.keep_best.write_model(trainer, module)
        trainer.save_checkpoint(self.keep_best.writer.place / CHECKPOINT, weights_only=False)
        raise StopAsked
