"""Reading files: what is refused, where it went wrong, and the split."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasscell.errors import UserError
from glasscell.tasks.language.corpus import default_corpus
from glasscell.tasks.language.text import TextError, read_texts, split_by_position, text_blocks


@pytest.fixture
def file(tmp_path):
    def write(raw: bytes, name="a.txt"):
        path = tmp_path / name
        path.write_bytes(raw)
        return path

    return write


def stdin(monkeypatch, raw: bytes):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


def test_files_follow_each_other(file):
    assert read_texts([file("één\r\n".encode()), file(b"two\rend", "b.txt")]) == "één\ntwo\nend"
    assert read_texts([file(b"a\r\n\0")], as_bytes=True) == b"a\r\n\0"


def test_a_byte_order_mark_is_no_character(file):
    path = file(b"\xef\xbb\xbfab")
    assert read_texts([path]) == "ab"
    assert "".join(map(str, text_blocks(path))) == "ab"


def test_standard_input(monkeypatch):
    stdin(monkeypatch, b"from a pipe")
    assert read_texts(["-"]) == "from a pipe"
    stdin(monkeypatch, b"")
    with pytest.raises(TextError, match="standard input is empty"):
        read_texts(["-"])
    stdin(monkeypatch, b"blocks")
    assert list(text_blocks("-")) == ["blocks"]


@pytest.mark.parametrize(
    "read", [lambda p: read_texts([p]), lambda p: list(text_blocks(p, size=7))]
)
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"abc\ndef\n1234\xff5", r"byte 0xff at byte 12 \(line 3\)"),
        ("abc\ndéf\n".encode("latin-1") + b"x" * 20, r"byte 0xe9 at byte 5 \(line 2\)"),
        (b"0123456789\nabcd\xc3", r"byte 0xc3 at byte 15 \(line 2\)"),  # cut in a character
        (b"0123456789\0rest", "binary file .* at byte 10"),
        ("text".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_not_text_is_refused_and_says_where(file, read, raw, message):
    with pytest.raises(TextError, match=message) as error:
        read(file(raw))
    assert "a.txt" in str(error.value)


@given(text=st.text("aé😀\n\r", max_size=40), size=st.integers(1, 9))
def test_blocks_are_the_file(tmp_path_factory, text, size):
    path = tmp_path_factory.mktemp("blocks") / "t.txt"
    path.write_bytes(text.encode())
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    assert "".join(map(str, text_blocks(path, size=size))) == whole
    assert b"".join(text_blocks(path, size=size, as_bytes=True)) == text.encode()  # type: ignore[arg-type]


def test_empty_and_missing_files(file, tmp_path):
    with pytest.raises(TextError, match="is empty"):
        read_texts([file(b"")])
    with pytest.raises(FileNotFoundError):
        read_texts([tmp_path / "none.txt"])


@given(st.integers(100, 3000), st.sampled_from([0.05, 0.1, 0.3]))
def test_the_split_is_by_position_and_complete(length, fraction):
    text = "".join(chr(0x4E00 + i) for i in range(length))
    split = split_by_position(text, validation=fraction, test=0.05)
    assert "".join(map(str, split)) == text
    assert len(split.validation) == int(fraction * length)
    assert len(split.train) > len(text) // 2


@pytest.mark.parametrize("text", ["a", "ab" * 20, b"x" * 99])
def test_short_texts_are_refused(text):
    with pytest.raises(TextError, match=r"too short .* at least 100"):
        split_by_position(text)


def test_fractions_are_checked():
    with pytest.raises(UserError, match=r"validation: .* got 0\.7"):
        split_by_position("a" * 200, validation=0.7)


def test_the_default_corpus_is_english_prose():
    text = default_corpus()
    assert len(text) > 300_000
    assert text.count(" the ") > 3000
