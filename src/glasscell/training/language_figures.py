"""The validation loss of a language model, in the units that people compare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from glasscell.tasks.language.vocabulary import Text, Vocabulary


@dataclass(frozen=True)
class LanguageFigures:
    """Figures of a text whose tokens have been predicted, all but the first.

    Attributes:
        characters_per_token: to turn nats a token into bits a character.
        words_per_token: for the perplexity of a word; 1 where the level does not know words.
        in_perplexity: perplexity comes first, not bits a character.
    """

    characters_per_token: float
    words_per_token: float
    in_perplexity: bool

    @classmethod
    def of(cls, vocabulary: Vocabulary, text: Text) -> LanguageFigures:
        tokens = vocabulary.encode(text)  # (N,)
        predicted = len(tokens) - 1
        # The first token is read, not predicted.
        first = vocabulary.characters(vocabulary.decode(tokens[:1]))
        words = vocabulary.words(text) or len(tokens)
        return cls(
            characters_per_token=(vocabulary.characters(text) - first) / predicted,
            words_per_token=max(1, words - 1) / predicted,
            in_perplexity=vocabulary.knows_words,
        )

    def of_loss(self, loss: float) -> dict[str, float]:
        """All figures of a loss in nats a token."""
        return {
            "nats_per_token": loss,
            "bits_per_character": loss / math.log(2) / self.characters_per_token,
            "perplexity": math.exp(min(700.0, loss / self.words_per_token)),
        }

    def headline(self, figures: Mapping[str, float]) -> tuple[str, str]:
        """The figure that people compare: its number alone, and with what it is."""
        if self.in_perplexity:
            number = f"{figures['perplexity']:,.1f}"
            return number, f"perplexity {number}"
        number = f"{figures['bits_per_character']:.3f}"
        return number, f"{number} bits/char"
