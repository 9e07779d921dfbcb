"""Words as tokens, with rare words spelled out.

A closed vocabulary would need an `<unk>` for rare words: text that cannot be read back, and a
model that is never charged for the words it does not know, so that its bits per character could
not be set beside those of a character model. Here a word outside the vocabulary becomes its
characters, each a token of its own. Every text can be written, read back exactly, and scored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasscell.plots.token_text import shown
from glasscell.tasks.language.vocabulary import (
    TableDecoder,
    Text,
    UnknownCharacters,
    Vocabulary,
    as_str,
    smallest_dtype,
)

if TYPE_CHECKING:
    from glasscell.tasks.language.text import Split

# A word or a run of punctuation takes the space before it along, so that joining the pieces
# gives the text again; any other white space is a piece of its own.
PIECE = re.compile(r" ?\w+(?:['’]\w+)*| ?[^\w\s]+|\s")


class Words(Vocabulary):
    """One token a frequent word, one a character for spelling the others.

    Args:
        words: the words that are tokens, with the space before them where they have one.
        alphabet: every character that may be used in spelling.
    """

    level = "word"
    token_name = "token"
    knows_words = True
    embedding = 256

    def __init__(self, words: Iterable[str], alphabet: str) -> None:
        self.alphabet = alphabet
        self.frequent = tuple(dict.fromkeys(w for w in words if len(w) > 1))
        self.strings = (*alphabet, *self.frequent)
        self.ids = {string: i for i, string in enumerate(self.strings)}
        if len(self.ids) != len(self.strings):
            raise ValueError("alphabet: expected each character once")

    @classmethod
    def of(cls, train: str, text: str, *, limit: int = 10_000, at_least: int = 2) -> Words:
        """The frequent words of the training text, and the characters of the whole text."""
        counts = Counter(PIECE.findall(train))
        frequent = [w for w, n in counts.most_common(limit) if n >= at_least]
        return cls(frequent, "".join(sorted(set(text))))

    @classmethod
    def of_split(cls, split: Split) -> Words:
        return cls.of(str(split.train), "".join(map(str, split)))

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> Words:
        return cls(description["words"], description["alphabet"])

    def __len__(self) -> int:
        return len(self.strings)

    def encode(self, text: Text) -> Tensor:
        text = as_str(text)
        ids: list[int] = []
        try:
            for piece in PIECE.findall(text):
                token = self.ids.get(piece)
                if token is None:
                    ids.extend([self.ids[c] for c in piece])
                else:
                    ids.append(token)
        except KeyError:
            raise UnknownCharacters(self.unknown(text)) from None
        return torch.tensor(ids, dtype=smallest_dtype(len(self)))

    def unknown(self, text: Text) -> set[str]:
        return set(as_str(text)) - set(self.alphabet)

    def decoder(self) -> TableDecoder:
        return TableDecoder(self.strings)

    def label(self, token: int) -> str:
        return shown(self.strings[token])

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level, "alphabet": self.alphabet, "words": list(self.frequent)}

    def cut(self, text: Text) -> tuple[Text, Text]:
        text = as_str(text)
        # What comes next may lengthen the last piece (a word), or join the last two ("don" and
        # "'" before a "t").
        starts = [match.start() for match in PIECE.finditer(text)][-2:]
        place = starts[0] if len(starts) == 2 else 0
        return text[:place], text[place:]

    def words(self, text: Text) -> int:
        return len(PIECE.findall(as_str(text)))
