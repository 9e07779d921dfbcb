"""Text to tokens and back, at every level."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glasscell.tasks.language.byte_level import Bytes
from glasscell.tasks.language.characters import Characters
from glasscell.tasks.language.levels import LEVELS, build_vocabulary, vocabulary_from_json
from glasscell.tasks.language.text import Split
from glasscell.tasks.language.vocabulary import UnknownCharacters
from glasscell.tasks.language.words import PIECE, Words

TEXT = (
    "Don't panic: the cat sat on the mat.\n\n\tThe  dog (naïve, 東京) didn't — 😀 it's the cat.\n"
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def vocabulary(level, text=TEXT):
    return build_vocabulary(level, Split(text, "", ""))


@pytest.mark.parametrize("level", LEVELS)
@given(text=texts)
def test_every_text_comes_back_exactly(level, text):
    v = vocabulary(level, text * 2)
    tokens = v.encode(text)
    assert v.decode(tokens) == text
    assert "".join(v.pieces(tokens.tolist())) == text
    assert 0 <= int(tokens.min()) <= int(tokens.max()) < len(v)


@pytest.mark.parametrize("level", LEVELS)
def test_json_gives_the_same_vocabulary(level):
    v = vocabulary(level)
    again = vocabulary_from_json(json.loads(json.dumps(v.to_json())))
    assert len(again) == len(v)
    assert torch.equal(again.encode(TEXT), v.encode(TEXT))


@pytest.mark.parametrize("level", LEVELS)
def test_labels_can_be_seen(level):
    v = vocabulary(level)
    labels = [v.label(i) for i in range(len(v))]
    assert all(label and label.isprintable() and not label.isspace() for label in labels)
    assert len(set(labels)) == len(v)


def test_ids_take_the_smallest_type():
    assert Characters("ab").encode("ab").dtype == torch.uint8
    big = Characters("".join(map(chr, range(1000))))
    assert big.encode("ab").dtype == torch.int16


def test_unknown_characters_are_named():
    with pytest.raises(UnknownCharacters, match=r"2 characters .* 'é' \(U\+00E9\), '—'") as error:
        Characters.of("abc").encode("a—é—b")
    assert error.value.characters == ["é", "—"]
    with pytest.raises(UnknownCharacters, match="'z'"):
        Words.of("the cat", "the cat").encode("the zoo")


def test_bytes_come_as_whole_characters():
    decoder = Bytes().decoder()
    assert [decoder.push(b) for b in "é😀a".encode()] == ["", "é", "", "", "", "😀", "a"]
    decoder.push(0xC3)
    assert decoder.finish() == "�"


def test_bytes_count_characters():
    assert Bytes().characters("aé😀".encode()) == 3
    assert Bytes().unknown("anything") == set()


def test_frequent_words_are_tokens_and_rare_ones_are_spelled():
    text = "and the cat and the cat and a yak"
    v = Words.of(text, text)
    assert {" the", " cat", " and"} <= set(v.strings)
    assert " yak" not in v.strings
    assert [v.label(t) for t in v.encode("a cat yak").tolist()] == ["a", "␣cat", "␣", "y", "a", "k"]
    assert v.words("a cat yak") == 3


def test_words_are_learned_from_the_training_part_alone():
    v = build_vocabulary("word", Split("aa bb aa bb", " cc cc cc", " dd"))
    assert " cc" not in v.to_json()["words"]
    assert v.decode(v.encode("cc dd")) == "cc dd"


@given(parts=st.lists(st.text("ab' ,.\n’", max_size=6), max_size=8))
def test_cutting_words_changes_no_token(parts):
    v = Words.of("ab a b, a'b ab's ab a b, a'b ab's", "ab' ,.\n’s")
    held, pieces = "", []
    for part in parts:
        whole, held = map(str, v.cut(held + part))
        pieces += PIECE.findall(whole)
    assert pieces + PIECE.findall(held) == PIECE.findall("".join(parts))
