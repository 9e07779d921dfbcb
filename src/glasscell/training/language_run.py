"""A trained language model, ready to use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import glasscell.version
from glasscell.tasks.language.evaluation import Score, evaluate
from glasscell.tasks.language.levels import vocabulary_from_json
from glasscell.tasks.language.model import (
    LanguageModel,
    LanguageModelConfig,
)
from glasscell.tasks.language.sampling import generate
from glasscell.tasks.language.vocabulary import Text, Vocabulary
from glasscell.tasks.models import telling_of_memory
from glasscell.training.model_folder import (
    FORMAT,
    METRICS,
    TEST_TEXT,
    VOCABULARY,
    FolderError,
    load_weights,
    read_json,
)


@dataclass
class LanguageRun:
    """A trained language model with its vocabulary.

    Attributes:
        model: the weights that did best on the validation text, in evaluation mode.
        vocabulary: between text and the model's tokens.
        metrics: how training went: see metrics.json.
        test_text: the held-out end of the text it was trained on.
        path: the model folder, where there is one.
        config: what config.json says.
    """

    model: LanguageModel
    vocabulary: Vocabulary
    metrics: dict[str, Any]
    test_text: Text
    path: Path | None = None
    config: dict[str, Any] = field(default_factory=dict)

    def generate(self, prompt: str = "", length: int = 500, **options: Any) -> str:
        """Text that goes on after a prompt; options as of `tasks.language.generate`."""
        return "".join(self.stream(prompt, length, **options))

    def stream(self, prompt: str = "", length: int = 500, **options: Any) -> Iterator[str]:
        """`generate`, piece by piece as it is drawn."""
        return generate(self.model, self.vocabulary, prompt, length, **options)

    def evaluate(self, text: Text | Iterable[Text] | None = None, **options: Any) -> Score:
        """How well the model predicts a text, or the held-out end of its own;
        options as of `tasks.language.evaluate`."""
        return evaluate(
            self.model, self.vocabulary, self.test_text if text is None else text, **options
        )

    @classmethod
    def read(cls, folder: Path, config: dict[str, Any]) -> LanguageRun:
        """Reads a model folder whose config.json has been read."""
        description = read_json(folder, VOCABULARY)
        try:
            vocabulary = vocabulary_from_json(description)
            # First weights are drawn, and replaced below.
            with telling_of_memory(), torch.random.fork_rng(devices=[]):
                model = LanguageModel(LanguageModelConfig(**config["model"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FolderError(
                f"{folder} is damaged: its description of the model: {error}"
            ) from None
        if len(vocabulary) != model.config.vocabulary:
            raise FolderError(
                f"{folder} is damaged: {VOCABULARY} has {len(vocabulary)} tokens, the model "
                f"{model.config.vocabulary}"
            )
        load_weights(model, folder)
        return cls(
            model=model.eval(),
            vocabulary=vocabulary,
            metrics=read_json(folder, METRICS),
            test_text=_read_test_text(folder, vocabulary),
            path=folder,
            config=config,
        )


def language_config(
    model: LanguageModelConfig, training: dict, data: dict, precision: str
) -> dict[str, Any]:
    """What config.json of a language model says."""
    return {
        "format": FORMAT,
        "task": "language",
        "glasscell": glasscell.version.__version__,
        "torch": torch.__version__,
        "model": asdict(model),
        "training": training,
        "precision": precision,
        "data": data,
    }


def _read_test_text(folder: Path, vocabulary: Vocabulary) -> Text:
    try:
        raw = (folder / TEST_TEXT).read_bytes()
        return raw if vocabulary.reads_bytes else raw.decode("utf-8")
    except FileNotFoundError:
        raise FolderError(f"{folder} is not a whole model folder: it has no {TEST_TEXT}") from None
    except UnicodeDecodeError:
        raise FolderError(f"{folder / TEST_TEXT} is damaged: it is not UTF-8 text") from None
