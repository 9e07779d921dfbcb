"""The table of levels: what a token may be. A new level is one class and one row."""

from __future__ import annotations

from typing import Any

from glasscell.tasks.language.byte_level import Bytes
from glasscell.tasks.language.characters import Characters
from glasscell.tasks.language.text import Split
from glasscell.tasks.language.vocabulary import Vocabulary
from glasscell.tasks.language.words import Words

LEVELS: dict[str, type[Vocabulary]] = {
    vocabulary.level: vocabulary
    for vocabulary in (
        Characters,
        Bytes,
        Words,
    )
}


def build_vocabulary(level: str, split: Split) -> Vocabulary:
    """The vocabulary of a text; see `Vocabulary.of_split`."""
    return _kind(level).of_split(split)


def vocabulary_from_json(description: dict[str, Any]) -> Vocabulary:
    """The vocabulary that `Vocabulary.to_json` described.

    Raises:
        ValueError, KeyError, TypeError: the description is not one.
    """
    return _kind(description["level"]).from_json(description)


def _kind(level: str) -> type[Vocabulary]:
    if level not in LEVELS:
        raise ValueError(f"level: expected one of {', '.join(LEVELS)}, got {level!r}")
    return LEVELS[level]
