"""Bytes as tokens: any file at all, and any script without a vocabulary to learn."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from glasscell.plots.token_text import shown
from glasscell.tasks.language.vocabulary import Decoder, Text, Vocabulary, as_bytes

if TYPE_CHECKING:
    from glasscell.tasks.language.text import Split


class Bytes(Vocabulary):
    """One token a byte: V = 256, and nothing is unknown. Text is taken as UTF-8."""

    level = "byte"
    token_name = "byte"
    reads_bytes = True

    @classmethod
    def of_split(cls, split: Split) -> Bytes:
        return cls()

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> Bytes:
        return cls()

    def __len__(self) -> int:
        return 256

    def encode(self, text: Text) -> Tensor:
        return torch.from_numpy(np.frombuffer(as_bytes(text), np.uint8).copy())

    def unknown(self, text: Text) -> set[str]:
        return set()

    def decoder(self) -> Decoder:
        return _Utf8Decoder()

    def label(self, token: int) -> str:
        return shown(chr(token)) if token < 0x80 else f"\\x{token:02x}"

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level}

    def characters(self, text: Text) -> int:
        # Every byte that does not go on with a character begins one; in a file that is not
        # UTF-8 this is close to its number of bytes.
        values = np.frombuffer(as_bytes(text), np.uint8)
        return int(((values & 0xC0) != 0x80).sum())


class _Utf8Decoder(Decoder):
    """Holds back the first bytes of a character until its last has come."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        return self._decoder.decode(bytes([token]))

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)
