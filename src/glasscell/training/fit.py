"""One run of Lightning, from a fresh model or a checkpoint to the end or an interruption."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from glasscell.errors import UserError
from glasscell.training.diverged import TrainingDiverged
from glasscell.training.hardware import Hardware
from glasscell.training.interruption import Interrupted, StopAsked, StopSignals
from glasscell.training.keep_best import KeepBest
from glasscell.training.lightning_glue import AtomicCheckpointIO, quiet_lightning
from glasscell.training.model_folder import CHECKPOINT, FolderWriter
from glasscell.training.progress import Progress
from glasscell.training.recipe import Plan, Recipe
from glasscell.training.run_module import KEY, RunModule


class Figures(Protocol):
    """A validation loss in the units that people compare."""

    def of_loss(self, loss: float) -> dict[str, float]:
        """All figures of a loss, by name."""
        ...

    def headline(self, figures: Mapping[str, float]) -> tuple[str, str]:
        """The figure that people compare: its number alone, and with what it is."""
        ...


def fit(
    build: Callable[[int], RunModule],
    figures: Figures,
    recipe: Recipe,
    hardware: Hardware,
    writer: FolderWriter,
    *,
    progress: bool,
    saved: dict[str, Any] | None = None,
    extended: bool = False,
) -> None:
    """Trains a module and writes the model folder as it goes.

    Args:
        build: makes the module, for so many processes.
        figures: what its loss comes to.
        saved: what the folder's last.ckpt says, to go on from it; None starts at the beginning.
        extended: the recipe asks for more than the saved run did.

    Raises:
        UserError: Lightning cannot run this, or the saved run has finished.
        TrainingDiverged: the loss became NaN or infinite.
        Interrupted: a signal.
    """
    keep_best = KeepBest(writer, figures.of_loss)
    signals = StopSignals(keep_best)
    with quiet_lightning(), signals.listening():
        trainer = _trainer(
            hardware,
            recipe,
            [signals, keep_best, Progress(keep_best, figures.headline, shown=progress)],
            begin_with_validation=bool(saved and saved[KEY]["validation_due"]),
        )
        module = build(trainer.world_size)
        if str(hardware.precision).startswith("64"):
            # Lightning reads a checkpoint before it converts the model, and would round it.
            module.model.double()
        if saved is not None and not extended:
            _refuse_finished(saved, module.plan, writer.path)
        checkpoint = None if saved is None else writer.place / CHECKPOINT
        try:
            trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
        except StopAsked:
            raise _interrupted(signals, keep_best, module) from None
        except TrainingDiverged as error:
            raise _with_what_is_left(error, keep_best) from None
        except (KeyboardInterrupt, SystemExit) as error:
            # A second signal; Lightning turns KeyboardInterrupt into SystemExit.
            if signals.received is None and isinstance(error, SystemExit):
                raise
            raise Interrupted(
                f"stopped at once{_what_is_there(keep_best) or '; nothing was written'}",
                number=signals.received or signal.SIGINT,
                resumable=keep_best.has_model,
            ) from None


def _refuse_finished(saved: dict[str, Any], plan: Plan, path: Path) -> None:
    step, seconds = saved[KEY]["step"], saved[KEY]["seconds"]
    waited = saved["callbacks"][KeepBest.__name__]["waited"]
    early = 0 < plan.recipe.patience <= waited
    if not saved[KEY]["validation_due"] and (plan.is_over(step, seconds) or early):
        raise UserError(
            f"{path} has finished training after {step:,} steps; to train for longer, say for how "
            "long with --epochs, --steps or --minutes (counted from the beginning)"
        )


def _trainer(
    hardware: Hardware,
    recipe: Recipe,
    callbacks: list[pl.Callback],
    *,
    begin_with_validation: bool,
) -> pl.Trainer:
    try:
        return pl.Trainer(
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            strategy=hardware.strategy,
            precision=hardware.precision,  # type: ignore[arg-type]
            num_nodes=hardware.nodes,
            max_epochs=-1,
            callbacks=callbacks,
            gradient_clip_val=recipe.clip or None,
            num_sanity_val_steps=-1 if begin_with_validation else 0,
            reload_dataloaders_every_n_epochs=0,
            use_distributed_sampler=False,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            plugins=[AtomicCheckpointIO()],
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        first = str(error).strip().partition(". ")[0].rstrip(".")
        way_out = ""
        if hardware.accelerator not in ("auto", "cpu") and not torch.accelerator.is_available():
            way_out = '; use --accelerator cpu (accelerator="cpu")'
        raise UserError(f"Lightning cannot run this: {first}{way_out}") from None


def _interrupted(signals: StopSignals, keep_best: KeepBest, module: RunModule) -> Interrupted:
    total = module.plan.total_steps
    of = f" of {total:,}" if total else ""
    return Interrupted(
        f"stopped at step {module.step:,}{of}{_what_is_there(keep_best)}",
        number=signals.received or signal.SIGINT,
    )


def _with_what_is_left(error: TrainingDiverged, keep_best: KeepBest) -> TrainingDiverged:
    there = _what_is_there(keep_best)
    advice = "a lower learning rate often helps"
    error.args = (f"{error}{there or '; there was no good model yet to keep'}; {advice}",)
    return error


def _what_is_there(keep_best: KeepBest) -> str:
    if not keep_best.has_model:
        return ""
    path = keep_best.writer.path
    if keep_best.best_step:
        return f"; {path} holds the best model so far, of step {keep_best.best_step:,}"
    return f"; {path} holds the model as it is now"
