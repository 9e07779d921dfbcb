"""The table of levels: what a token may be. A new level is one class and one row."""

from __future__ import annotations

from typing import Any

from glasscell.tasks.language.byte_level import Bytes
from glasscell.tasks.language.characters import Characters
from glasscell.tasks.language.text import Split
from glasscell.tasks.language.vocabulary import Vocabulary
from glasscell.tasks.language.words import Words

LEVELS = ("char", "byte", "word")


def build_vocabulary(level: str, split: Split) -> Vocabulary:
    """The vocabulary of a text.

    The alphabet is that of the whole text, so that each part of it can be scored; which words
    are frequent is learned from the training part alone.
    """
    if level == "byte":
        return Bytes()
    train, validation, test = (str(part) for part in split)
    if level == "char":
        return Characters.of(train + validation + test)
    if level == "word":
        return Words.of(train, train + validation + test)
    raise ValueError(f"level: expected one of {', '.join(LEVELS)}, got {level!r}")


def vocabulary_from_json(description: dict[str, Any]) -> Vocabulary:
    """The vocabulary that `Vocabulary.to_json` described.

    Raises:
        ValueError, KeyError, TypeError: the description is not one.
    """
    level = description["level"]
    if level == "byte":
        return Bytes()
    if level == "char":
        return Characters(description["alphabet"])
    if level == "word":
        return Words(description["words"], description["alphabet"])
    raise ValueError(f"level: expected one of {', '.join(LEVELS)}, got {level!r}")
