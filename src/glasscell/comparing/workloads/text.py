"""Language models of one text: bits a character on its held-out end."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glasscell.comparing.measure import Measure
from glasscell.comparing.models import Size
from glasscell.comparing.workloads.workload import DROPOUTS
from glasscell.errors import UserError
from glasscell.tasks.language.chunks import Streams, fitting_streams
from glasscell.tasks.language.evaluation import evaluate
from glasscell.tasks.language.levels import LEVELS, build_vocabulary
from glasscell.tasks.language.model import LanguageModel, LanguageModelConfig, State, detach
from glasscell.tasks.language.ngram import NGram
from glasscell.tasks.language.text import read_texts, split_by_position
from glasscell.tasks.language.vocabulary import Text
from glasscell.training.language_recipe import LanguageRecipe, default_learning_rate

VALIDATED = 20_000  # characters at most, each of the times that a training is looked at
TESTED = 100_000  # characters at most
_USUAL = LanguageRecipe()  # as `glasscell train text` has it
BATCH, CHUNK = _USUAL.batch, _USUAL.chunk
EMBEDDINGS = (64, 16, 32, 128)


class TextWorkload:
    """The text of some files, split by position as `glasscell train text` does.

    Args:
        files: UTF-8 text files, read one after the other.
        level: what a token is: "char", "byte" or "word".
        sha256: what the text must be; None takes any.

    Raises:
        UserError: a text that cannot be used, or is another than before.
    """

    choices: ClassVar = {"embedding": EMBEDDINGS, "dropout": DROPOUTS}

    def __init__(
        self, files: Sequence[str], level: str = "char", sha256: str | None = None
    ) -> None:
        if level not in LEVELS:
            raise UserError(f"level: expected one of {', '.join(LEVELS)}, got {level!r}")
        if not files:
            raise UserError("there is no text to compare cells on: name a file")
        text = read_texts(files, as_bytes=LEVELS[level].reads_bytes)
        found = hashlib.sha256(_bytes(text)).hexdigest()
        if sha256 not in (None, found):
            raise UserError(f"{', '.join(files)}: the text is not the one that was begun with")
        self.description: dict[str, Any] = {
            "task": "text", "files": list(files), "level": level, "sha256": found
        }  # fmt: skip
        self.title = ", ".join(Path(file).name for file in files)
        split = split_by_position(text)
        self.vocabulary = build_vocabulary(level, split)
        self._validation, self._test = split.validation[:VALIDATED], split.test[:TESTED]
        tokens = self.vocabulary.encode(split.train)
        if len(tokens) < 2:
            raise UserError("the text is too short to train on")
        self._tokens = tokens
        self.streams = fitting_streams(len(tokens), wanted=BATCH, chunk=CHUNK)
        self.train = Streams(tokens, streams=self.streams, chunk=CHUNK)
        self.tokens_per_update = max(1, self.train.predictions // len(self.train))
        self._embedding = LEVELS[level].embedding
        self.measure = Measure(
            "bits a character",
            True,
            margin=0.02,
            levels=(self._counting(tokens),),
            bounds=(0.0, math.inf),
        )
        self.facts = (
            f"{len(split.train):,} characters to train on, {len(self._validation):,} after them to "
            f"choose the best moment by, the next {len(self._test):,} to score; "
            f"{len(self.vocabulary):,} different tokens ({level})",
            f"an update reads {self.streams} stretches of {CHUNK} tokens, and a training begins at "
            "a place in the text that its seed draws",
        )

    def _counting(self, tokens: Tensor) -> tuple[str, float]:
        """A score without any network: how often each token follows the three before it."""
        order = 3
        ngram = NGram(order, len(self.vocabulary)).fit(tokens)
        encoded = self.vocabulary.encode(self._test)
        bits = ngram.bits_per_token(encoded) * max(1, len(encoded) - 1)
        return f"counting what follows {order} tokens", bits / max(1, len(self._test) - 1)

    def model(self, cell: str, size: Size) -> nn.Module:
        config = LanguageModelConfig(
            vocabulary=len(self.vocabulary),
            cell=cell,
            hidden=size.hidden,
            embedding=size.embedding or self._embedding,
            dropout=size.dropout,
        )
        return LanguageModel(config)

    def learning_rate(self, cell: str, hidden: int) -> float:
        return default_learning_rate(cell, hidden)

    def feed(self, seed: int) -> TextFeed:
        return TextFeed(self._tokens, self.streams, seed)

    def validation(self, model: nn.Module) -> float:
        return self._score(model, self._validation)

    def test(self, model: nn.Module) -> float:
        return self._score(model, self._test)

    def _score(self, model: nn.Module, text: Text) -> float:
        assert isinstance(model, LanguageModel)
        known = text
        if isinstance(text, str) and (unknown := self.vocabulary.unknown(text)):
            known = text.translate({ord(c): None for c in unknown})
        score = evaluate(model, self.vocabulary, known)
        return score.nats / math.log(2) / score.characters

    def read(self, model: nn.Module) -> int:
        inputs, _ = self.train[0]
        model(inputs)
        return inputs.numel()


class TextFeed:
    """The text chunk by chunk from a place that the seed draws, round and round, with the state
    carried and cut off from its gradient. Its end is followed by its beginning.

    Args:
        tokens: (N,) of the training part.
        streams: read side by side.
        seed: of the place.
    """

    def __init__(self, tokens: Tensor, streams: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        place = int(torch.randint(len(tokens), (), generator=generator))
        self._train = Streams(tokens.roll(-place), streams=streams, chunk=CHUNK)
        self._next = 0
        self._state: State | None = None

    def loss(self, model: nn.Module) -> Tensor:
        if self._next == len(self._train):
            self._next, self._state = 0, None
        inputs, targets = self._train[self._next]  # (T, B)
        self._next += 1
        logits, state = model(inputs, self._state)
        self._state = detach(state)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _bytes(text: Text) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
