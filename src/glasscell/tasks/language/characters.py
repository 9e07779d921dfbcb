"""Characters as tokens."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
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


class Characters(Vocabulary):
    """One token a character (a Unicode code point).

    Args:
        alphabet: every character once; its place is its token id.
    """

    level = "char"
    token_name = "character"

    def __init__(self, alphabet: str) -> None:
        if len(set(alphabet)) != len(alphabet):
            raise ValueError("alphabet: expected each character once")
        self.alphabet = alphabet

    @classmethod
    def of(cls, text: str) -> Characters:
        """The vocabulary of every character that occurs in a text."""
        return cls("".join(sorted(set(text))))

    @classmethod
    def of_split(cls, split: Split) -> Characters:
        return cls.of("".join(map(str, split)))

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> Characters:
        return cls(description["alphabet"])

    @cached_property
    def _table(self) -> np.ndarray:
        table = np.full(0x110000, -1, np.int32)  # one place for each code point
        table[[ord(c) for c in self.alphabet]] = np.arange(len(self.alphabet))
        return table

    def _ids(self, text: str) -> np.ndarray:
        return self._table[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")]

    def __len__(self) -> int:
        return len(self.alphabet)

    def encode(self, text: Text) -> Tensor:
        text = as_str(text)
        ids = self._ids(text)
        if ids.size and ids.min() < 0:
            raise UnknownCharacters(self.unknown(text))
        return torch.from_numpy(ids).to(smallest_dtype(len(self)))

    def unknown(self, text: Text) -> set[str]:
        return set(as_str(text)) - set(self.alphabet)

    def decoder(self) -> TableDecoder:
        return TableDecoder(tuple(self.alphabet))

    def label(self, token: int) -> str:
        return shown(self.alphabet[token])

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level, "alphabet": self.alphabet}
