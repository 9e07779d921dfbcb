"""One run on a text: what it reads, and where it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glasscell.errors import UserError
from glasscell.tasks.language.chunks import Streams, fitting_streams
from glasscell.tasks.language.model import LanguageModel
from glasscell.tasks.language.text import Split, TextError
from glasscell.tasks.language.vocabulary import Vocabulary
from glasscell.training.checkpoint import is_tensor, read_run
from glasscell.training.fit import fit
from glasscell.training.hardware import Hardware
from glasscell.training.language_figures import LanguageFigures
from glasscell.training.language_module import LanguageModule
from glasscell.training.language_recipe import LanguageRecipe
from glasscell.training.model_folder import FolderWriter
from glasscell.training.recipe import Plan
from glasscell.training.run_module import KEY

VALIDATION_STREAM = 1024  # tokens in a stream of the validation text, which starts without a state


def fit_language(
    model: LanguageModel,
    vocabulary: Vocabulary,
    split: Split,
    recipe: LanguageRecipe,
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
    saved = None if checkpoint is None else read_language_run(checkpoint, model)

    def build(world: int) -> LanguageModule:
        streams = fitting_streams(
            len(train), wanted=recipe.batch, chunk=recipe.chunk, multiple_of=world
        )
        val_streams = fitting_streams(
            len(validation), wanted=64, chunk=VALIDATION_STREAM, multiple_of=world
        )
        if saved is not None:
            _refuse_other_streams(saved, streams, world)
        train_streams = Streams(train, streams=streams, chunk=recipe.chunk)
        return LanguageModule(
            model.train(),
            train=train_streams,
            validation=Streams(validation, streams=val_streams, chunk=128),
            plan=Plan(recipe, len(train_streams)),
        )

    fit(
        build,
        LanguageFigures.of(vocabulary, split.validation),
        recipe,
        hardware,
        writer,
        progress=progress,
        saved=saved,
        extended=extended,
    )


def read_language_run(path: Path, model: LanguageModel) -> dict[str, Any]:
    """What last.ckpt says of a run of this model; see `read_run`."""
    return read_run(path, model, lambda own: _is_state(own.get("state", 0), model))


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


def _is_state(state: Any, model: LanguageModel) -> bool:
    if state is None:
        return True
    H = model.config.hidden
    sizes = (H, model.rnn.carried_size) if model.rnn.cell.has_cell_state else (H,)
    if not isinstance(state, list) or len(state) != len(sizes):
        return False
    streams = state[0].shape[1] if isinstance(state[0], Tensor) and state[0].ndim == 3 else 0
    return streams > 0 and all(
        is_tensor(each, torch.Size((model.config.layers, streams, size)))
        for each, size in zip(state, sizes, strict=True)
    )
