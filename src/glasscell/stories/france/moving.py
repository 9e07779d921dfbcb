"""The example sentence, moved to another country by an edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glasscell.stories.france.patching import patched
from glasscell.stories.france.reading import read
from glasscell.stories.france.switching import pairs
from glasscell.tasks.france import EXAMPLE, ID, VOCABULARY, Country, WordModel, written


@dataclass(frozen=True)
class Edited:
    """The example sentence with the country's units taken from another telling.

    Attributes:
        nouns: for each of its two places, the four words that one might expect, and their
            probabilities before and after the edit.
        text: the sentence with what is now likeliest at both places.
    """

    nouns: tuple[tuple[tuple[str, float, float], ...], ...]
    text: str


def edited_example(model: WordModel, units: Sequence[int], target: Country) -> Edited:
    """Moves the example to another country."""
    (pair,) = pairs(model, [EXAMPLE], [target])
    before = read(model, [EXAMPLE.words]).log_p.exp()
    after = patched(model, pair.words, units, pair.step, pair.cell).exp()
    source, words, nouns = EXAMPLE.country, list(EXAMPLE.words), []
    for place in pair.places[:, 0].tolist():
        likely = [noun for country in (source, target) for noun in (country.food, country.drink)]
        nouns.append(
            tuple(
                (w, float(before[place - 1, 0, ID[w]]), float(after[place - 1, 0, ID[w]]))
                for w in likely
            )
        )
        words[place] = VOCABULARY[int(after[place - 1, 0].argmax())]
    return Edited(tuple(nouns), written(words))
