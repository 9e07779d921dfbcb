"""Text from files or standard input, checked, and split by position."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from glasscell.errors import UserError
from glasscell.tasks.language.vocabulary import Text

STANDARD_INPUT = "-"
SHORTEST = 100  # characters; below this the parts of a split are too small to mean anything
LONGEST_HELD_OUT = 1_000_000  # characters; more would only make each figure slower to come by


class TextError(UserError):
    """A file that is not text that can be trained on or scored."""


class Split(NamedTuple):
    """A text in three parts, in the order in which they stand in it."""

    train: Text
    validation: Text
    test: Text


def read_texts(paths: Iterable[str | os.PathLike[str]], *, as_bytes: bool = False) -> Text:
    """The texts of several files, one after the other; "-" is standard input.

    Args:
        paths: the files, in order.
        as_bytes: give raw bytes, with nothing checked or changed; otherwise UTF-8 is decoded
            and line ends become a single newline.

    Raises:
        TextError: a file is empty, binary, or not UTF-8.
        OSError: a file cannot be read.
    """
    parts: list[Text] = []
    for path in paths:
        name, raw = _read(path)
        if not raw:
            raise TextError(f"{name} is empty")
        parts.append(raw if as_bytes else decode_utf8(raw, name))
    return b"".join(parts) if as_bytes else "".join(parts)  # type: ignore[arg-type]


def _read(path: str | os.PathLike[str]) -> tuple[str, bytes]:
    if os.fspath(path) == STANDARD_INPUT:
        return "standard input", sys.stdin.buffer.read()
    return os.fspath(path), Path(path).read_bytes()


def decode_utf8(raw: bytes, name: str) -> str:
    """UTF-8 text of bytes, with line ends made "\\n" and a byte order mark taken away.

    Raises:
        TextError: binary data, or bytes that are not UTF-8; says where.
    """
    _refuse_binary(raw, name, offset=0)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _undecodable(name, raw[error.start], error.start, line) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_blocks(
    path: str | os.PathLike[str], *, as_bytes: bool = False, size: int = 1 << 20
) -> Iterator[Text]:
    """A file of any length as texts of about `size` bytes each, checked as `read_texts` does."""
    if os.fspath(path) == STANDARD_INPUT:
        yield from _blocks(sys.stdin.buffer, "standard input", as_bytes, size)
        return
    with open(path, "rb") as file:
        yield from _blocks(file, os.fspath(path), as_bytes, size)


def _blocks(file: BinaryIO, name: str, as_bytes: bool, size: int) -> Iterator[Text]:
    if as_bytes:
        yield from iter(lambda: file.read(size), b"")
        return
    # "\r\n" may straddle two blocks: the newline decoder holds a final "\r" back.
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    newlines = _newline_decoder()
    offset, lines = 0, 1
    while True:
        raw = file.read(size)
        _refuse_binary(raw, name, offset)
        held = len(decoder.getstate()[0])  # bytes of a character that began in the last block
        try:
            text = decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            place = offset - held + error.start
            line = lines + error.object.count(b"\n", 0, error.start)
            raise _undecodable(name, error.object[error.start], place, line) from None
        text = newlines.decode(text, final=not raw)
        if text:
            yield text
        if not raw:
            return
        offset += len(raw)
        lines += raw.count(b"\n")


def _newline_decoder():
    from io import IncrementalNewlineDecoder

    return IncrementalNewlineDecoder(None, translate=True)


def _refuse_binary(raw: bytes, name: str, offset: int) -> None:
    if offset == 0 and raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise TextError(f"{name} is UTF-16 text; save it as UTF-8")
    place = raw.find(b"\0")
    if place >= 0:
        raise TextError(
            f"{name} is a binary file (a zero byte at byte {offset + place}); "
            "give a text file, or take its bytes as they are with --level byte"
        )


def _undecodable(name: str, value: int, offset: int, line: int) -> TextError:
    return TextError(
        f"{name} is not UTF-8 text: byte 0x{value:02x} at byte {offset} (line {line}) cannot be "
        "decoded; save the file as UTF-8, or take its bytes as they are with --level byte"
    )


def split_by_position(text: Text, *, validation: float = 0.05, test: float = 0.05) -> Split:
    """Training, validation and test part of a text, in this order.

    Later text is never trained on: a model is judged on how the text goes on, which is what it
    is for. Held-out parts are at most `LONGEST_HELD_OUT` long.

    Args:
        text: the whole text.
        validation, test: the fraction of the text that each takes, in (0, 0.5).

    Raises:
        TextError: the text is too short to split.
    """
    for name, fraction in (("validation", validation), ("test", test)):
        if not 0 < fraction < 0.5:
            raise UserError(f"{name}: expected a fraction between 0 and 0.5, got {fraction}")
    if len(text) < SHORTEST:
        unit = "bytes" if isinstance(text, bytes) else "characters"
        count = f"{len(text)} {unit}" if len(text) != 1 else f"1 {unit[:-1]}"
        raise TextError(
            f"the text is too short to learn from: it has {count}, and at least {SHORTEST} are "
            "needed to train, validate and test"
        )
    n_validation = min(max(2, int(len(text) * validation)), LONGEST_HELD_OUT)
    n_test = min(max(2, int(len(text) * test)), LONGEST_HELD_OUT)
    n_train = len(text) - n_validation - n_test
    return Split(
        text[:n_train], text[n_train : n_train + n_validation], text[n_train + n_validation :]
    )
