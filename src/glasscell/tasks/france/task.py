"""The language as a task: batches of sentences, what a model is asked for, and how it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from glasscell.errors import InputError
from glasscell.tasks.france.language import FEATURES, ID, NOUNS, VOCABULARY, Language, Sentence
from glasscell.tasks.generated import Batch, Goal


class France:
    """Predicting each next word of the language of `language.py`.

    Args:
        sentences: how many are drawn to train on, once; batches are drawn from them.
        language: which combinations are held out.
        seed: of the sentences drawn.

    Raises:
        InputError: no sentences.
    """

    name = "france"
    goal: ClassVar[Goal] = "higher"
    chance = 1 / len(NOUNS)  # naming any food or drink
    optimum = 1.0

    def __init__(
        self, sentences: int = 30_000, language: Language | None = None, seed: int = 1
    ) -> None:
        if sentences < 1:
            raise InputError(f"sentences: expected at least 1, got {sentences}")
        self.language = language or Language()
        self.sentences = self.language.sentences(sentences, seed)
        self._all = encoded(self.sentences)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Sentences drawn from those to train on; targets are the words that come next."""
        which = torch.randint(len(self.sentences), (size,), generator=generator)
        lengths = self._all.lengths[which]
        T = int(lengths.max())
        return Batch(self._all.inputs[:T, which], self._all.targets[:T, which], lengths)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean surprise at the next word, in nats."""
        real = batch.real_steps
        return F.cross_entropy(outputs[real], batch.targets[real])

    def score(self, outputs: Tensor, batch: Batch) -> float:
        """The share of foods and drinks that were the likeliest word where they came, 0 to 1."""
        nouns = _IS_NOUN.to(batch.targets.device)[batch.targets] & batch.real_steps
        return float((outputs.argmax(-1) == batch.targets)[nouns].double().mean())


_IS_NOUN = torch.tensor([word in NOUNS for word in VOCABULARY])


def encoded(sentences: Sequence[Sentence]) -> Batch:
    """Sentences as ids: inputs all words but the last, targets all but the first; each
    (T, B), T the longest's, padded with the full stop; lengths (B,).
    """
    return encoded_words([sentence.words for sentence in sentences])


def encoded_words(sentences: Sequence[Sequence[str]]) -> Batch:
    """As `encoded`, of sentences that are given by their words."""
    lengths = torch.tensor([len(words) - 1 for words in sentences])
    ids = torch.zeros(int(lengths.max()) + 1, len(sentences), dtype=torch.int64)  # (T + 1, B)
    for b, words in enumerate(sentences):
        ids[: len(words), b] = torch.tensor([ID[word] for word in words])
    return Batch(ids[:-1], ids[1:], lengths)


def features(sentences: Sequence[Sentence]) -> dict[str, Tensor]:
    """What is known after each word that is read, by the feature's name: (T, B), UNKNOWN (-1)
    where a feature is not known, and after a sentence's end.
    """
    told = [sentence.features for sentence in sentences]
    T = max(len(each["country"]) for each in told) - 1  # nothing is read at the full stop
    found = {name: torch.full((T, len(told)), -1) for name in FEATURES}
    for b, each in enumerate(told):
        for name, values in each.items():
            found[name][: len(values) - 1, b] = torch.tensor(values[:-1])
    return found
