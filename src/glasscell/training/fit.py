"""One run of Lightning, from a fresh model or a checkpoint to the end or an interruption."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from glasscell.errors import UserError
from glasscell.tasks.language.chunks import Streams, fitting_streams
from glasscell.tasks.language.model import LanguageModel
from glasscell.tasks.language.text import Split, TextError
from glasscell.tasks.language.vocabulary import Vocabulary
from glasscell.training.checkpoint import read_run
from glasscell.training.diverged import TrainingDiverged
from glasscell.training.hardware import Hardware
from glasscell.training.interruption import Interrupted, StopAsked, StopSignals
from glasscell.training.keep_best import KeepBest
from glasscell.training.language_figures import LanguageFigures
from glasscell.training.language_module import KEY, LanguageModule
from glasscell.training.lightning_glue import AtomicCheckpointIO, quiet_lightning
from glasscell.training.model_folder import FolderWriter
from glasscell.training.progress import Progress
from glasscell.training.recipe import Plan, Recipe

VALIDATION_STREAM = 1024  # tokens in a stream of the validation text, which starts without a state


def fit(
    model: LanguageModel,
    vocabulary: Vocabulary,
    split: Split,
    recipe: Recipe,
    hardware: Hardware,
    writer: FolderWriter,
    progress: bool,
    *,
    checkpoint: Path | None,
    extended: bool = False,
) -> None:
    """Trains `model` and writes the model folder as it goes; see `train_text`.

    Args:
        checkpoint: where to go on from; None starts at the beginning.
        extended: the recipe asks for more than the checkpoint's run did.
    """
    train, validation = _tokens(vocabulary, split)
    saved = None if checkpoint is None else read_run(checkpoint, model)
    figures = LanguageFigures.of(vocabulary, split.validation)
    keep_best = KeepBest(writer, figures.of_loss)
    signals = StopSignals(keep_best)
    with quiet_lightning(), signals.listening():
        trainer = _trainer(
            hardware,
            recipe,
            [signals, keep_best, Progress(keep_best, figures.headline, shown=progress)],
            begin_with_validation=bool(saved and saved[KEY]["validation_due"]),
        )
        world = trainer.world_size
        streams = fitting_streams(
            len(train), wanted=recipe.batch, chunk=recipe.chunk, multiple_of=world
        )
        val_streams = fitting_streams(
            len(validation), wanted=64, chunk=VALIDATION_STREAM, multiple_of=world
        )
        train_streams = Streams(train, streams=streams, chunk=recipe.chunk)
        if str(hardware.precision).startswith("64"):
            # Lightning reads a checkpoint before it converts the model, and would round it.
            model.double()
        module = LanguageModule(
            model.train(),
            train=train_streams,
            validation=Streams(validation, streams=val_streams, chunk=128),
            plan=Plan(recipe, len(train_streams)),
        )
        if saved is not None:
            _refuse_other_streams(saved, streams, world)
        if saved is not None and not extended:
            _refuse_finished(saved, module.plan, writer.path)
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


def _tokens(vocabulary: Vocabulary, split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    train, validation = vocabulary.encode(split.train), vocabulary.encode(split.validation)
    if min(len(train), len(validation), len(vocabulary.encode(split.test))) < 2:
        raise TextError("the text is too short to train, validate and test on")
    return train, validation


def _refuse_other_streams(saved: dict[str, Any], streams: int, world: int) -> None:
    state = saved[KEY]["state"]
    if state is not None and state[0].shape[1] != streams:
        raise UserError(
            f"the run reads {state[0].shape[1]} streams of text, which {world} devices cannot "
            "share evenly; resume it on a number of devices that divides them"
        )


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


def _interrupted(signals: StopSignals, keep_best: KeepBest, module: LanguageModule) -> Interrupted:
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
