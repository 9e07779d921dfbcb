"""The language model as Lightning trains it.

**Where a run stands is one number**, `step`, the updates done. The text is read in order, so the
next chunk, the learning rate and the time of the next validation follow from it; with the weights,
the optimizer, the carried state and the random generator it is all that resuming needs. What
Lightning counts for itself (epochs, batches) starts from zero in a resumed run and decides nothing:
a Lightning epoch is here the stretch of steps between two validations.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from glasscell.nn.lines import OWN_LAYERS
from glasscell.tasks.language.chunks import Streams
from glasscell.tasks.language.model import (
    LanguageModel,
    State,
    detach,
    state_from_tensors,
    state_tensors,
)
from glasscell.training.diverged import LossGuard
from glasscell.training.optimizer import optimizer_of
from glasscell.training.recipe import Plan
from glasscell.training.shards import (
    gather_generators,
    gather_states,
    own_states,
    restore_generators,
)

KEY = "glasscell"  # in the checkpoint


class LanguageModule(pl.LightningModule):
    """Training and validation steps, and the state of a run.

    Args:
        model: what is trained.
        train: the training text as streams, over all processes.
        validation: the validation text, the same.
        plan: when to validate, when to stop, how fast to learn.
    """

    def __init__(
        self, model: LanguageModel, *, train: Streams, validation: Streams, plan: Plan
    ) -> None:
        super().__init__()
        self.model = model
        self.plan = plan
        self.all_train, self.all_validation = train, validation
        self.step = 0
        self.state: State | None = None
        self.validation_loss = float("nan")  # nats a token
        self.validation_due = False  # one has begun and has not ended
        self.last_loss = torch.tensor(float("nan"))
        self._seconds_before = 0.0
        self._began = time.monotonic()
        self._validation_began = 0.0
        self._validation_seconds = 0.0
        self._validation_state: State | None = None
        self._validation_sums: list[Tensor] = []
        self._generators: dict[str, Any] = {}
        self.guard = LossGuard()

    @property
    def seconds(self) -> float:
        """How long the run has taken, earlier parts of a resumed run included."""
        return self._seconds_before + time.monotonic() - self._began

    @property
    def budgeted_seconds(self) -> float:
        """`seconds`, with the last validation still to come."""
        return self.seconds + self._validation_seconds

    def what_is_trained(self) -> str:
        """The model and its text, for a person."""
        config = self.model.config
        weights = sum(p.numel() for p in self.model.parameters())
        kind = config.cell.upper() if config.cell in OWN_LAYERS else config.cell
        return (
            f"{config.layers} x {kind} of {config.hidden} units, {weights:,} "
            f"weights, on {self.all_train.predictions:,} tokens ({config.vocabulary:,} different)"
        )

    # What Lightning asks for, in the order in which it asks.

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optimizer_of(self.parameters(), self.plan.recipe)

    def on_fit_start(self) -> None:
        rank, world = self.global_rank, self.trainer.world_size
        self.train_streams = self.all_train.share(rank, world).to(self.device)
        self.validation_streams = self.all_validation.share(rank, world).to(self.device)
        self._began = time.monotonic()

    def train_dataloader(self) -> _Stretch:
        return _Stretch(self)

    def val_dataloader(self) -> _Pass:
        return _Pass(self)

    def on_train_start(self) -> None:
        self._set_generators()
        if self.state is not None:
            tensors = own_states(
                state_tensors(self.state), self.global_rank, self.trainer.world_size
            )
            # On the weights' device and of their precision: both may have changed.
            weight = self.model.embedding.weight
            self.state = state_from_tensors(tuple(s.to(weight) for s in tensors))

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

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        inputs, targets = batch  # (T, B) each
        if self.step % self.plan.steps_per_epoch == 0:
            self.state = None  # the text begins anew
        logits, state = self.model(inputs, self.state)
        self.state = detach(state)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
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
        self._validation_state, self._validation_sums = None, []
        self.validation_due = True
        if self.trainer.sanity_checking:  # a resumed run, before its first step
            self._set_generators()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        inputs, targets = batch
        logits, self._validation_state = self.model(inputs, self._validation_state)
        loss = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")
        self._validation_sums.append(loss)

    def on_validation_epoch_end(self) -> None:
        total = torch.stack(self._validation_sums).cpu().double().sum().float().to(self.device)
        total = self.trainer.strategy.reduce(total, reduce_op="sum")
        self.validation_loss = float(total) / self.all_validation.predictions
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
        world = self.trainer.world_size
        states = None if self.state is None else gather_states(state_tensors(self.state), world)
        checkpoint[KEY] = {
            "step": self.step,
            "seconds": self.seconds,
            "state": states,
            "generators": gather_generators(self.device, world),
            "validation_due": self.validation_due,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint[KEY]
        self.step = saved["step"]
        self._seconds_before = saved["seconds"]
        self.state = None if saved["state"] is None else state_from_tensors(tuple(saved["state"]))
        self._generators = saved["generators"]


def _has_plain_gradients(trainer: pl.Trainer) -> bool:
    """Whether each process holds whole gradients, unscaled: then their norm is easily had, and
    one that is not finite is always wrong."""
    scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
    return not scaled and isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy)


class _Stretch:
    """The chunks from where the run stands to the next validation."""

    def __init__(self, module: LanguageModule) -> None:
        self.module = module

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        module, plan = self.module, self.module.plan
        step = module.step
        while True:
            yield module.train_streams[step % plan.steps_per_epoch]
            step += 1
            if plan.validates_at(step, module.budgeted_seconds):
                return


class _Pass:
    """All chunks of the validation text."""

    def __init__(self, module: LanguageModule) -> None:
        self.module = module

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        streams = self.module.validation_streams
        for k in range(len(streams)):
            yield streams[k]
