"""What a vocabulary is: the map between text and token ids, whatever a token may be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor

from glasscell.errors import UserError

if TYPE_CHECKING:
    from glasscell.tasks.language.text import Split

Text = str | bytes


def as_str(text: Text) -> str:
    return text if isinstance(text, str) else text.decode("utf-8")


def as_bytes(text: Text) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


class UnknownCharacters(UserError):
    """Text with characters that the vocabulary does not hold. `characters` lists them."""

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = sorted(set(characters))
        shown = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in self.characters[:10])
        more = f" and {len(self.characters) - 10} more" if len(self.characters) > 10 else ""
        plural = "s" if len(self.characters) > 1 else ""
        super().__init__(
            f"the text holds {len(self.characters)} character{plural} that the model has never "
            f"seen: {shown}{more}"
        )


class Vocabulary(ABC):
    """Turns text into token ids 0..V-1 and back.

    Decoding what was encoded gives the text again, character for character, at every level.

    Attributes:
        level: its name, the key in `LEVELS`.
        token_name: what one token is called.
        reads_bytes: files are taken as they are, not decoded.
        knows_words: `words` counts them, and perplexity is the figure that people compare.
        embedding: the size of a token's embedding where none is asked for.
    """

    level: ClassVar[str]
    token_name: ClassVar[str]
    reads_bytes: ClassVar[bool] = False
    knows_words: ClassVar[bool] = False
    embedding: ClassVar[int] = 64

    @classmethod
    @abstractmethod
    def of_split(cls, split: Split) -> Self:
        """The vocabulary of a text in parts.

        The alphabet is that of the whole text, so that each part of it can be scored; which words
        are frequent is learned from the training part alone.
        """

    @classmethod
    @abstractmethod
    def from_json(cls, description: dict[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            ValueError, KeyError, TypeError: the description is not one.
        """

    @abstractmethod
    def __len__(self) -> int:
        """V, the number of tokens."""

    @abstractmethod
    def encode(self, text: Text) -> Tensor:
        """Token ids (N,) of a text, in the smallest integer type that holds them.

        Raises:
            UnknownCharacters: the text holds characters that the vocabulary does not.
        """

    @abstractmethod
    def decoder(self) -> Decoder:
        """A fresh streaming decoder."""

    @abstractmethod
    def label(self, token: int) -> str:
        """How one token is shown in a table or a figure: printable, never empty."""

    @abstractmethod
    def unknown(self, text: Text) -> set[str]:
        """The characters of a text that `encode` would refuse."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """A plain description, which `vocabulary_from_json` reads back."""

    def decode(self, tokens: Iterable[int] | Tensor) -> str:
        """The text of token ids."""
        ids = tokens.tolist() if isinstance(tokens, Tensor) else tokens
        return "".join(self.pieces(ids))

    def pieces(self, tokens: Iterable[int]) -> Iterator[str]:
        """The text of token ids piece by piece, as soon as each piece is whole."""
        decoder = self.decoder()
        for token in tokens:
            if piece := decoder.push(int(token)):
                yield piece
        if rest := decoder.finish():
            yield rest

    def cut(self, text: Text) -> tuple[Text, Text]:
        """A text up to where it can be cut, whatever comes next, without changing its tokens;
        and the rest."""
        return text, text[:0]

    def characters(self, text: Text) -> int:
        """How many characters a text has: the unit of bits per character at every level."""
        return len(text)

    def words(self, text: Text) -> int | None:
        """How many words a text has, where the level knows words; else None."""
        return None


class Decoder(ABC):
    """Text from tokens that come one at a time."""

    @abstractmethod
    def push(self, token: int) -> str:
        """The text that has become whole with this token; may be empty."""

    def finish(self) -> str:
        """What is left at the end."""
        return ""


class TableDecoder(Decoder):
    """A decoder for levels at which each token is a string of its own."""

    def __init__(self, strings: tuple[str, ...]) -> None:
        self.strings = strings

    def push(self, token: int) -> str:
        return self.strings[token]


def smallest_dtype(size: int) -> torch.dtype:
    """The smallest integer type that holds the ids 0..size-1: long texts stay small in memory."""
    if size <= 2**8:
        return torch.uint8
    return torch.int16 if size <= 2**15 else torch.int32
