"""What any model is as Lightning trains it.

**Where a run stands is one number**, `step`, the updates done. The next batch, the learning rate
and the time of the next validation follow from it; with the weights, the optimizer, the random
generator and what a task adds it is all that resuming needs. What Lightning counts for itself
(epochs, batches) starts from zero in a resumed run and decides nothing: a Lightning epoch is here
the stretch of steps between two validations.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from glasscell.training.diverged import LossGuard
from glasscell.training.optimizer import optimizer_of
from glasscell.training.recipe import Plan
from glasscell.training.shards import gather_generators, restore_generators

KEY = "glasscell"  # in the checkpoint


class RunModule(pl.LightningModule):
    """The state of a run, and what Lightning asks for in its course.

    A task gives its batches and its losses; see the abstract methods.

    Args:
        model: what is trained.
        plan: when to validate, when to stop, how fast to learn.
    """

    tokens: int  # predictions in an epoch, over all processes
    validation_tokens: int  # and in a validation

    def __init__(self, model: nn.Module, plan: Plan) -> None:
        super().__init__()
        self.model = model
        self.plan = plan
        self.step = 0
        self.validation_loss = float("nan")  # a prediction's, the mean
        self.validation_due = False  # one has begun and has not ended
        self.last_loss = torch.tensor(float("nan"))
        self._seconds_before = 0.0
        self._began = time.monotonic()
        self._validation_began = 0.0
        self._validation_seconds = 0.0
        self._validation_sums: list[Tensor] = []
        self._generators: dict[str, Any] = {}
        self.guard = LossGuard()

    # What a task says.

    @abstractmethod
    def what_is_trained(self) -> str:
        """The model and its data, for a person."""

    @abstractmethod
    def training_batch(self, step: int) -> Any:
        """What update number `step` (from 0) reads."""

    @abstractmethod
    def validation_batches(self) -> Iterator[Any]:
        """All that is validated on."""

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """The mean loss of a batch's predictions, to be trained on."""

    @abstractmethod
    def validation_sum(self, batch: Any) -> Tensor:
        """The summed loss of a batch's predictions."""

    def standing(self) -> dict[str, Any]:
        """What a task adds to where a run stands, for the checkpoint: plain data and tensors."""
        return {}

    def stand(self, saved: dict[str, Any]) -> None:
        """Goes back to where `standing` was."""

    # How long it has taken.

    @property
    def seconds(self) -> float:
        """How long the run has taken, earlier parts of a resumed run included."""
        return self._seconds_before + time.monotonic() - self._began

    @property
    def budgeted_seconds(self) -> float:
        """`seconds`, with the last validation still to come."""
        return self.seconds + self._validation_seconds

    # What Lightning asks for, in the order in which it asks.

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optimizer_of(self.parameters(), self.plan.recipe)

    def on_fit_start(self) -> None:
        self._began = time.monotonic()

    def train_dataloader(self) -> _Stretch:
        return _Stretch(self)

    def val_dataloader(self) -> _Pass:
        return _Pass(self)

    def on_train_start(self) -> None:
        self._set_generators()

    def _set_generators(self) -> None:
        if self._generators:
            restore_generators(self._generators, self.global_rank, self.device)
        else:
            # Each process drops other units; the first draws what a single process would.
            torch.manual_seed(self.plan.recipe.seed + 1 + self.global_rank)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        rate = self.plan.learning_rate(self.step, self.budgeted_seconds)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.last_loss = loss.detach()
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips, and looks at loss and gradient before they reach the weights."""
        norm = None
        if _has_plain_gradients(self.trainer):
            norm = clip_grad_norm_(self.parameters(), gradient_clip_val or float("inf"))
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        self.guard.watch(self.step + 1, self.last_loss, norm)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.step += 1

    def on_validation_epoch_start(self) -> None:
        self._validation_began = time.monotonic()
        self._validation_sums = []
        self.validation_due = True
        if self.trainer.sanity_checking:  # a resumed run, before its first step
            self._set_generators()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._validation_sums.append(self.validation_sum(batch))

    def on_validation_epoch_end(self) -> None:
        total = torch.stack(self._validation_sums).cpu().double().sum().float().to(self.device)
        total = self.trainer.strategy.reduce(total, reduce_op="sum")
        self.validation_loss = float(total) / self.validation_tokens
        self._validation_seconds = time.monotonic() - self._validation_began
        self.validation_due = False
        self.guard.check()
        self.guard.watch_validation(self.step, self.validation_loss)

    # The checkpoint.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Lightning's own counts: see the top of this file.
        checkpoint.pop("loops")
        checkpoint["global_step"] = self.step
        checkpoint["epoch"] = self.step // self.plan.steps_per_epoch
        checkpoint[KEY] = {
            "step": self.step,
            "seconds": self.seconds,
            "generators": gather_generators(self.device, self.trainer.world_size),
            "validation_due": self.validation_due,
            **self.standing(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint[KEY]
        self.step = saved["step"]
        self._seconds_before = saved["seconds"]
        self._generators = saved["generators"]
        self.stand(saved)


def _has_plain_gradients(trainer: pl.Trainer) -> bool:
    """Whether each process holds whole gradients, unscaled: then their norm is easily had, and
    one that is not finite is always wrong."""
    scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
    return not scaled and isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy)


class _Stretch:
    """The batches from where the run stands to the next validation."""

    def __init__(self, module: RunModule) -> None:
        self.module = module

    def __iter__(self) -> Iterator[Any]:
        module, step = self.module, self.module.step
        while True:
            yield module.training_batch(step)
            step += 1
            if module.plan.validates_at(step, module.budgeted_seconds):
                return


class _Pass:
    """All that is validated on, once."""

    def __init__(self, module: RunModule) -> None:
        self.module = module

    def __iter__(self) -> Iterator[Any]:
        return self.module.validation_batches()
