"""The language model as Lightning trains it: the text is read in order, its state carried on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from glasscell.nn.lines import OWN_LAYERS
from glasscell.tasks.language.chunks import Streams
from glasscell.tasks.language.model import (
    LanguageModel,
    State,
    detach,
    state_from_tensors,
    state_tensors,
)
from glasscell.training.recipe import Plan
from glasscell.training.run_module import RunModule
from glasscell.training.shards import gather_states, own_states


class LanguageModule(RunModule):
    """Training and validation on streams of text.

    Args:
        model: what is trained.
        train: the training text as streams, over all processes.
        validation: the validation text, the same.
        plan: when to validate, when to stop, how fast to learn.
    """

    model: LanguageModel

    def __init__(
        self, model: LanguageModel, *, train: Streams, validation: Streams, plan: Plan
    ) -> None:
        super().__init__(model, plan)
        self.all_train, self.all_validation = train, validation
        self.tokens, self.validation_tokens = train.predictions, validation.predictions
        self.state: State | None = None
        self._validation_state: State | None = None

    def what_is_trained(self) -> str:
        config = self.model.config
        weights = sum(p.numel() for p in self.model.parameters())
        kind = config.cell.upper() if config.cell in OWN_LAYERS else config.cell
        return (
            f"{config.layers} x {kind} of {config.hidden} units, {weights:,} "
            f"weights, on {self.tokens:,} tokens ({config.vocabulary:,} different)"
        )

    def on_fit_start(self) -> None:
        rank, world = self.global_rank, self.trainer.world_size
        self.train_streams = self.all_train.share(rank, world).to(self.device)
        self.validation_streams = self.all_validation.share(rank, world).to(self.device)
        super().on_fit_start()

    def on_train_start(self) -> None:
        super().on_train_start()
        if self.state is not None:
            tensors = own_states(
                state_tensors(self.state), self.global_rank, self.trainer.world_size
            )
            # On the weights' device and of their precision: both may have changed.
            weight = self.model.embedding.weight
            self.state = state_from_tensors(tuple(s.to(weight) for s in tensors))

    def training_batch(self, step: int) -> tuple[Tensor, Tensor]:
        return self.train_streams[step % self.plan.steps_per_epoch]

    def validation_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self.validation_streams[k] for k in range(len(self.validation_streams)))

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, targets = batch  # (T, B) each
        if self.step % self.plan.steps_per_epoch == 0:
            self.state = None  # the text begins anew
        logits, state = self.model(inputs, self.state)
        self.state = detach(state)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._validation_state = None

    def validation_sum(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, targets = batch
        logits, self._validation_state = self.model(inputs, self._validation_state)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")

    def standing(self) -> dict[str, Any]:
        if self.state is None:
            return {"state": None}
        return {"state": gather_states(state_tensors(self.state), self.trainer.world_size)}

    def stand(self, saved: dict[str, Any]) -> None:
        self.state = None if saved["state"] is None else state_from_tensors(tuple(saved["state"]))
