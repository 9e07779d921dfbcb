"""Training on a classic task, from a few words of Python or from the command line."""

from __future__ import annotations

import os
import signal
from dataclasses import asdict, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from glasscell.errors import InputError, UserError
from glasscell.tasks.classic import ClassicTask, SequenceModel, task_of
from glasscell.tasks.models import telling_of_memory
from glasscell.training.classic_choices import MODEL, STEPS, model_choices, recipe_of
from glasscell.training.classic_folder import ClassicFolder
from glasscell.training.classic_progress import ClassicProgress
from glasscell.training.classic_run import ClassicRun, classic_config
from glasscell.training.generated import GeneratedLoop, GeneratedRecipe, train_generated
from glasscell.training.generated_checkpoint import read_loop
from glasscell.training.loading import load
from glasscell.training.model_folder import CONFIG, FolderError, FolderWriter, read_config
from glasscell.training.signals import Interrupted, Signals


def train_classic(
    name: str,
    *,
    out: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    force: bool = False,
    progress: bool = True,
    **options: Any,
) -> ClassicRun:
    """Trains a model on a classic task, whose sequences are drawn as it goes on.

        run = train_classic("reber", out="runs/reber")
        print(run.evaluate().score, run.task.chance)

    Args:
        name: one of `glasscell.tasks.classic.TASKS`: "reber", "copy", "anbn", "anbncn", "parity",
            "dyck2", "adding", "temporal_order", "turnstile".
        out: the model folder to write; None keeps nothing on disk.
        steps: updates of the weights; 4,000 where neither steps nor minutes are given.
        minutes: the most time, measuring included.
        force: replace the model folder `out` if there is one.
        progress: show how training goes, on standard error.
        options: the model's cell, hidden and layers, and how it begins to remember: forget_bias
            (1 if the cell has a forget gate) or chrono; the task's T and its other choices (see
            its class); and the fields of `GeneratedRecipe` (batch, learning_rate, clip, seed,
            target, every, ...). None means the default.

    Returns:
        The model that scored best on 500 held sequences. The same choices give the same model,
        where time does not end the run.

    Raises:
        UserError: a name, folder or option that cannot be used; or training fell apart, and the
            best model so far is in `out`.
        Interrupted: Ctrl-C; what there is is in `out`, and can be resumed.
    """
    given = {name: value for name, value in options.items() if value is not None}
    model = model_choices({key: given.pop(key, default) for key, default in MODEL.items()})
    training = {each.name: each.default for each in fields(GeneratedRecipe)}
    training |= {key: given.pop(key) for key in training.keys() & given.keys()}
    training |= {"steps": STEPS if steps is minutes is None else steps, "minutes": minutes}
    task = task_of(name, **given)
    recipe, seconds = recipe_of(training)
    if out is None:
        with TemporaryDirectory(prefix="glasscell-") as folder:
            place = Path(folder) / "model"
            run = train_classic(
                name,
                out=place,
                steps=steps,
                minutes=minutes,
                progress=progress,
                **options,
            )
        run.path = None
        return run

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = _network(task, model)
        writer = FolderWriter(out, replace=force)
        try:
            writer.write(CONFIG, classic_config(task, model, training))
            _train(network, task, recipe, seconds, writer, progress, None)
        finally:
            writer.discard()
    return _loaded(out)


def resume_classic(
    out: str | os.PathLike[str],
    *,
    steps: int | None = None,
    minutes: float | None = None,
    progress: bool = True,
) -> ClassicRun:
    """Goes on with a run where it was interrupted: the same numbers, to the last bit, that it
    would have come to without the interruption.

    Args:
        out: the model folder.
        steps, minutes: to train for longer, counted from the beginning; by default what the run
            was begun with. A learning rate that decays does so over the new length from here on.
        progress: show how training goes, on standard error.

    Raises:
        FolderError: nothing to resume, or a damaged folder.
        UserError: the run has finished.
    """
    out = Path(out)
    config = read_config(out)
    if config["task"] != "classic":
        raise FolderError(f"{out} holds a model for the task {config['task']!r}, no classic one")
    run = _loaded(out)
    try:
        training = dict(config["training"])
        if steps is not None or minutes is not None:
            training |= {"steps": steps, "minutes": minutes}
        recipe, seconds = recipe_of(training)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError) and training != config["training"]:
            raise
        raise FolderError(f"{out / CONFIG} is damaged: {error}") from None
    saved = read_loop(out, run.model)
    with torch.random.fork_rng(devices=[]):
        _refuse_finished(out, saved, GeneratedLoop(run.model, run.task, recipe, seconds))
        writer = FolderWriter.reopen(out)
        if training != config["training"]:
            writer.write(CONFIG, {**config, "training": training})
        _train(run.model, run.task, recipe, seconds, writer, progress, saved)
    return _loaded(out)


def _network(task: ClassicTask, model: dict[str, Any]) -> SequenceModel:
    try:
        with telling_of_memory():
            return SequenceModel(task, **model)
    except InputError as error:
        raise UserError(str(error)) from None


def _refuse_finished(out: Path, saved: dict[str, Any], loop: GeneratedLoop) -> None:
    loop.load_state_dict(saved)
    if loop.is_over:
        raise UserError(
            f"{out} has finished training after {loop.step:,} steps; to train for longer, say for "
            "how long with --steps or --minutes (counted from the beginning)"
        )


def _train(
    model: SequenceModel,
    task: ClassicTask,
    recipe: GeneratedRecipe,
    seconds: float | None,
    writer: FolderWriter,
    progress: bool,
    saved: dict[str, Any] | None,
) -> None:
    folder, signals = ClassicFolder(writer, task), Signals()
    shown = ClassicProgress(task, shown=progress)
    loops: list[GeneratedLoop] = []

    def stepped(loop: GeneratedLoop) -> None:
        loops[:] = [loop]
        shown.stepped(loop)
        if signals.received is not None:
            folder.stopped(loop)
            raise Interrupted(
                f"stopped at step {loop.step:,}{_what_is_there(writer, folder, loop)}",
                number=signals.received,
            )

    shown.begin(_what_is_trained(model, task), saved["step"] if saved else 0)
    try:
        with signals.listening(), telling_of_memory():
            train_generated(
                model,
                task,
                recipe,
                seconds=seconds,
                resume=saved,
                on_measure=folder.measured,
                on_step=stepped,
            )
    except InputError as error:
        left = _what_is_there(writer, folder, loops[0]) if loops else ""
        raise UserError(f"{error}{left}") from None
    except Interrupted:
        raise
    except KeyboardInterrupt:  # a second signal
        left = f"; {writer.path} holds what there was before" if writer.published else ""
        raise Interrupted(
            f"stopped at once{left or '; nothing was written'}",
            number=signals.received or signal.SIGINT,
            resumable=writer.published,
        ) from None
    finally:
        shown.end(loops[0] if loops else None)


def _what_is_trained(model: SequenceModel, task: ClassicTask) -> str:
    numbers = sum(weight.numel() for weight in model.parameters())
    choices = ", ".join(f"{key} = {value}" for key, value in asdict(task).items())
    layers = model.rnn.num_layers
    return (
        f"{task.name} ({choices}), {layers} x {model.line.text} of {model.rnn.hidden_size} units, "
        f"{numbers:,} weights"
    )


def _what_is_there(writer: FolderWriter, folder: ClassicFolder, loop: GeneratedLoop) -> str:
    if not writer.published:
        return ""
    best = folder.best(loop)
    if best is None:
        return f"; {writer.path} holds the model as it is now"
    return f"; {writer.path} holds the best model so far, of step {best.step:,}"


def _loaded(out: str | os.PathLike[str]) -> ClassicRun:
    run = load(out)
    assert isinstance(run, ClassicRun)
    return run
