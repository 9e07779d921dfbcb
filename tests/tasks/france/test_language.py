"""The language: its grammar, its hidden features, and what is held out."""

import re
from dataclasses import replace

import pytest
import torch

from glasscell.errors import InputError
from glasscell.tasks.france import (
    COUNTRIES,
    EXAMPLE,
    ID,
    UNKNOWN,
    VOCABULARY,
    France,
    Language,
    Sentence,
    Subject,
    WordModel,
    encoded,
    features,
    words_of,
    written,
)
from glasscell.tasks.france.language import MEN, WOMEN

NAME = f"(?:{'|'.join(WOMEN + MEN)})"
PLACE = f"(?P<place>{'|'.join(c.name for c in COUNTRIES)})"
GRAMMAR = re.compile(
    rf"In {PLACE}, (?P<who>{NAME}(?: and {NAME})?) (?P<verb>ate|tasted|drank|sipped) "
    rf"(?P<own>her|his|their) (?P<one>\w+)"
    rf"(?: (?:but (?P<other>{NAME}(?: and {NAME})?)|because (?P<same>she|he|they)) "
    rf"(?:liked|did not like) (?P<own2>the|her|his|their) (?P<two>\w+))?\."
)


@pytest.fixture(scope="module")
def sentences():
    return Language().sentences(3000, seed=5)


def number(who: str) -> int:
    if " and " in who:
        return 2
    return int(who in MEN)


def test_every_sentence_follows_the_grammar(sentences):
    for sentence in sentences:
        text = written(sentence.words)
        found = GRAMMAR.fullmatch(text)
        assert found, text
        country = next(c for c in COUNTRIES if c.name == found["place"])
        nouns = [country.food, country.drink]
        if found["verb"] in ("drank", "sipped"):
            nouns.reverse()
        assert found["one"] == nouns[0]
        assert found["two"] in (None, nouns[1])
        who = number(found["who"])
        assert found["own"] == ("her", "his", "their")[who]
        if found["same"]:
            assert found["same"] == ("she", "he", "they")[who]
        if found["own2"] not in (None, "the"):
            now = number(found["other"]) if found["other"] else who
            assert found["own2"] == ("her", "his", "their")[now]
        if found["other"]:
            assert not set(found["who"].split(" and ")) & set(found["other"].split(" and "))
        assert words_of(text) == sentence.words


def test_all_of_the_vocabulary_occurs_and_nothing_else(sentences):
    assert {word for each in sentences for word in each.words} == set(VOCABULARY)
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    assert VOCABULARY[ID["wine"]] == "wine"


def test_the_example_is_the_sentence_that_was_promised():
    assert written(EXAMPLE.words) == (
        "In France, Mary ate her croissant but Frank did not like the wine."
    )


def told(sentence: Sentence) -> list[tuple]:
    return list(zip(sentence.words, *sentence.features.values(), strict=True))


def test_features_of_two_sentences_word_by_word():
    assert told(EXAMPLE) == [
        ("In", -1, -1, -1, -1),
        ("France", 0, -1, -1, -1),
        (",", 0, -1, -1, -1),
        *[(word, 0, 0, 0, 0) for word in ("Mary", "ate", "her", "croissant")],
        ("but", 0, -1, -1, 0),  # somebody else comes
        *[(word, 0, 1, 0, 0) for word in words_of("Frank did not like the wine.")],
    ]
    two = Sentence(COUNTRIES[2], Subject(("Paul", "Anna")), "sipped", "because", None, own=True)
    assert told(two) == [
        ("In", -1, -1, -1, -1),
        ("Japan", 2, -1, -1, -1),
        (",", 2, -1, -1, -1),
        ("Paul", 2, 1, 0, 1),
        *[(w, 2, -1, 1, -1) for w in words_of("and Anna sipped their sake because they liked")],
        *[(w, 2, -1, 1, -1) for w in words_of("their sushi.")],
    ]


def test_features_as_a_batch():
    found = features([EXAMPLE, replace(EXAMPLE, joint=".", second=None)])
    assert found["country"].shape == (14, 2)
    assert found["country"][:, 0].tolist() == EXAMPLE.features["country"][:-1]
    assert found["country"][7:, 1].tolist() == [UNKNOWN] * 7  # after its end


def test_held_out_combinations_are_never_trained_on():
    language = Language()
    seen = {s.combination for s in language.sentences(4000, seed=1)}
    unseen = {s.combination for s in language.sentences(500, seed=1, held_out=True)}
    assert not seen & unseen
    for country in COUNTRIES:
        assert EXAMPLE.told_in(country).combination in language.held_out
    everything = len(COUNTRIES) * (16 + 16 * 15) * 4
    assert len(language.held_out) / everything == pytest.approx(0.2, abs=0.02)


def test_the_same_seed_the_same_sentences():
    one, two = (Language(seed=3).sentences(50, seed=4) for _ in range(2))
    assert one == two
    assert one != Language(seed=3).sentences(50, seed=5)
    assert Language(seed=3).held_out != Language(seed=4).held_out


def test_encoded_sentences_read_back_and_predict_the_next_word(sentences):
    batch = encoded(sentences[:20])
    for b, sentence in enumerate(sentences[:20]):
        n = int(batch.lengths[b])
        assert [VOCABULARY[k] for k in batch.inputs[:n, b]] == sentence.words[:-1]
        assert [VOCABULARY[k] for k in batch.targets[:n, b]] == sentence.words[1:]


def test_loss_and_score_leave_out_what_is_after_the_end():
    task = France(sentences=200)
    batch = task.batch(30, torch.Generator().manual_seed(0))
    right = 30.0 * torch.nn.functional.one_hot(batch.targets, len(VOCABULARY))
    assert float(task.loss(right, batch)) < 1e-6
    assert task.score(right, batch) == 1.0
    spoiled = right.clone()
    spoiled[~batch.real_steps] = torch.nan
    assert float(task.loss(spoiled, batch)) < 1e-6
    wrong = right.roll(1, -1)
    assert task.score(wrong, batch) == 0.0
    assert len(batch.inputs) == int(batch.lengths.max())


def test_the_model_says_the_same_with_and_without_lengths(sentences):
    model = WordModel(hidden=7, embedding=5)
    batch = encoded(sentences[:9])
    whole, ragged = model(batch.inputs), model(batch.inputs, lengths=batch.lengths)
    assert torch.allclose(whole[batch.real_steps], ragged[batch.real_steps], atol=1e-5)
    weights = model.lstm.state_dict()
    bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
    assert torch.equal(bias[7:14], torch.ones(7))


def test_there_are_no_batches_of_no_sentences():
    with pytest.raises(InputError, match="sentences: expected at least 1, got 0"):
        France(0)
