"""Training a language model on text, from a few words of Python or from the command line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from glasscell.errors import UserError
from glasscell.tasks.language.levels import LEVELS, build_vocabulary
from glasscell.tasks.language.model import (
    LanguageModel,
    LanguageModelConfig,
)
from glasscell.tasks.language.text import Split, TextError, read_texts, split_by_position
from glasscell.tasks.language.vocabulary import Text, Vocabulary, as_str
from glasscell.tasks.language.vocabulary import as_bytes as to_bytes
from glasscell.tasks.models import telling_of_memory
from glasscell.training.hardware import Hardware, is_helper_process
from glasscell.training.language_recipe import LanguageRecipe, default_learning_rate
from glasscell.training.language_run import LanguageRun, language_config
from glasscell.training.loading import load
from glasscell.training.model_folder import (
    CHECKPOINT,
    CONFIG,
    TEST_TEXT,
    VOCABULARY,
    FolderError,
    FolderWriter,
    read_config,
)
from glasscell.training.options import folder_writer, take_options

Path_ = str | os.PathLike[str]
LIMITS = ("epochs", "steps", "minutes")


def train_text(
    files: Path_ | Iterable[Path_] = (),
    *,
    text: Text | None = None,
    out: Path_ | None = None,
    level: str = "char",
    force: bool = False,
    progress: bool = True,
    **options: Any,
) -> LanguageRun:
    """Trains a language model.

        run = train_text("book.txt", out="runs/book", hidden=512, minutes=10)
        print(run.generate("Once upon a time"))

    Args:
        files: UTF-8 text files, read one after the other; "-" is standard input.
        text: the text itself, in place of files.
        out: the model folder to write; None keeps nothing on disk.
        level: what a token is, a key of `LEVELS`: "char", "byte" or "word".
        force: replace the model folder `out` if there is one.
        progress: show how training goes, on standard error.
        options: the fields of `LanguageModelConfig` (cell, hidden, layers, embedding, dropout,
            tied), of `LanguageRecipe` (epochs, steps, minutes, batch, learning_rate, ...) and of
            `Hardware` (accelerator, devices, strategy, precision, nodes).

    Returns:
        The model that did best on the validation text.

    Raises:
        UserError: text, folder or option that cannot be used.
        TrainingDiverged: the loss became NaN or infinite; the best model so far is in `out`.
        Interrupted: Ctrl-C; what there is is in `out`, and can be resumed.
    """
    if level not in LEVELS:
        raise UserError(f"level: expected one of {', '.join(LEVELS)}, got {level!r}")
    architecture = take_options(LanguageModelConfig, options, "vocabulary")
    recipe = LanguageRecipe(**take_options(LanguageRecipe, options))
    hardware = Hardware(**take_options(Hardware, options))
    if options:
        raise TypeError(f"train_text: unknown options {', '.join(sorted(options))}")
    LanguageModelConfig(vocabulary=1, **architecture)  # a wrong option is told before reading

    if out is None:
        with TemporaryDirectory(prefix="glasscell-") as folder:
            run = train_text(
                files,
                text=text,
                out=Path(folder) / "model",
                level=level,
                progress=progress,
                **architecture,
                **asdict(recipe),
                **asdict(hardware),
            )
        run.path = None
        return run

    names = _names(files)
    # Before a long text is read, and long before a model is trained:
    writer = folder_writer(out, force=force)
    try:
        whole = _read(names, text, as_bytes=LEVELS[level].reads_bytes)
        split = split_by_position(whole)
        vocabulary = build_vocabulary(level, split)
        architecture.setdefault("embedding", LEVELS[level].embedding)
        config = LanguageModelConfig(vocabulary=len(vocabulary), **architecture)
        if recipe.learning_rate is None:
            rate = default_learning_rate(config.cell, config.hidden)
            recipe = replace(recipe, learning_rate=rate)
        data = {"level": level, "files": names, "sha256": _fingerprint(whole), "length": len(whole)}
        description = language_config(config, asdict(recipe), data, hardware.precision)
        _write_description(writer, description, vocabulary, split)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            with telling_of_memory():
                model = LanguageModel(config)
            _fit(model, vocabulary, split, recipe, hardware, writer, progress, checkpoint=None)
    finally:
        writer.discard()
    return load(out)


def resume_text(
    out: Path_,
    files: Path_ | Iterable[Path_] = (),
    *,
    text: Text | None = None,
    progress: bool = True,
    **options: Any,
) -> LanguageRun:
    """Goes on with a run where it was interrupted: the same numbers, to the last bit, that it
    would have come to without the interruption.

    Args:
        out: the model folder.
        files, text: the text again; by default the files that it was read from.
        progress: show how training goes, on standard error.
        options: `epochs`, `steps` or `minutes` to train for longer (which changes the learning
            rate from here on), and the fields of `Hardware`; `precision` is by default that of
            the run.

    Raises:
        FolderError: nothing to resume, or a damaged folder.
        UserError: the text is another than before, or the run has finished.
    """
    out = Path(out)
    config = read_config(out)
    if config["task"] != "language":
        raise FolderError(f"{out} holds a model for the task {config['task']!r}, not for text")
    limits = {name: options.pop(name) for name in LIMITS if options.get(name) is not None}
    if options.get("precision") is None:  # the run's own, so that it comes to the same numbers
        options["precision"] = config.get("precision")
    hardware = Hardware(**take_options(Hardware, options))
    if options := {name: value for name, value in options.items() if value is not None}:
        raise TypeError(f"resume_text: unknown options {', '.join(sorted(options))}")
    run = load(out)
    try:
        data, recipe = config["data"], LanguageRecipe(**config["training"])
        sha256 = data["sha256"]
        names = _names(files) or ([] if text is not None else list(data["files"]))
    except (KeyError, TypeError) as error:
        raise FolderError(f"{out / CONFIG} is damaged: {error}") from None
    if limits:
        recipe = replace(recipe, **{**dict.fromkeys(LIMITS), **limits})

    whole = _read(names, text, as_bytes=run.vocabulary.reads_bytes)
    if _fingerprint(whole) != sha256:
        raise UserError(f"the text is not the one that {out} was trained on, so it cannot go on")
    split = split_by_position(whole)
    writer = FolderWriter.reopen(out)
    if limits:
        writer.write(CONFIG, {**config, "training": asdict(recipe)})
    with torch.random.fork_rng(devices=[]):
        _fit(
            run.model,
            run.vocabulary,
            split,
            recipe,
            hardware,
            writer,
            progress,
            checkpoint=out / CHECKPOINT,
            extended=bool(limits),
        )
    return load(out)


def _fit(*args: Any, **kwargs: Any) -> None:
    is_helper_process()  # Lightning reads the same ranks as it is imported, with no kind words
    # Brings Lightning in, seconds that only training needs.
    from glasscell.training.language_fit import fit_language

    with telling_of_memory():
        fit_language(*args, **kwargs)


def _names(files: Path_ | Iterable[Path_]) -> list[str]:
    if isinstance(files, str | os.PathLike):
        files = [files]
    return ["-" if os.fspath(f) == "-" else str(Path(f).absolute()) for f in files]


def _read(names: list[str], text: Text | None, *, as_bytes: bool) -> Text:
    if text is not None:
        if names:
            raise UserError("give either files or text, not both")
        return to_bytes(text) if as_bytes else as_str(text)
    if not names:
        raise TextError("there is no text to train on: name a file")
    return read_texts(names, as_bytes=as_bytes)


def _fingerprint(text: Text) -> str:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(raw).hexdigest()


def _write_description(
    writer: FolderWriter, description: dict[str, Any], vocabulary: Vocabulary, split: Split
) -> None:
    if is_helper_process():
        return
    writer.write(CONFIG, description)
    writer.write(VOCABULARY, vocabulary.to_json())
    test = split.test
    writer.write(
        TEST_TEXT, test.encode("utf-8", "surrogatepass") if isinstance(test, str) else test
    )
