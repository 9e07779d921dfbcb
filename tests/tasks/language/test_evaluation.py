"""Scores against cross-entropies computed by hand."""

import math

import pytest
import torch

from glasscell.errors import UserError
from glasscell.tasks.language import evaluation
from glasscell.tasks.language.byte_level import Bytes
from glasscell.tasks.language.characters import Characters
from glasscell.tasks.language.evaluation import evaluate
from glasscell.tasks.language.model import LanguageModel, LanguageModelConfig
from glasscell.tasks.language.vocabulary import UnknownCharacters
from glasscell.tasks.language.words import Words

LETTERS = "abcdefg \n"


def random_text(length):
    return "".join(LETTERS[i] for i in torch.randint(len(LETTERS), (length,)).tolist())


def model_for(vocabulary, cell="lstm"):
    torch.manual_seed(5)
    config = LanguageModelConfig(len(vocabulary), cell, hidden=12, embedding=6)
    model = LanguageModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2  # far from uniform predictions
    return model


def nats_by_hand(model, tokens):
    with torch.no_grad():
        log_p = model(tokens[:-1].view(-1, 1))[0][:, 0].double().log_softmax(-1)
    return -log_p.gather(1, tokens[1:].long().view(-1, 1)).sum().item()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_bits_per_character_are_the_cross_entropy(cell):
    v, text = Characters(LETTERS), random_text(700)
    model = model_for(v, cell)
    score = evaluate(model, v, text)
    nats = nats_by_hand(model, v.encode(text))
    assert score.bits_per_character == pytest.approx(nats / math.log(2) / 699, rel=1e-6)
    assert score.perplexity == pytest.approx(math.exp(nats / 699), rel=1e-6)
    assert (score.tokens, score.characters, score.words) == (699, 699, None)


@pytest.mark.parametrize("size", [1, 7, 300])
def test_blocks_of_any_size_score_the_same(size):
    v, text = Characters(LETTERS), random_text(700)
    model = model_for(v)
    blocks = (text[i : i + size] for i in range(0, len(text), size))
    assert evaluate(model, v, blocks, streams=1).nats == pytest.approx(
        nats_by_hand(model, v.encode(text)), rel=1e-6
    )


def test_progress_is_told_block_by_block():
    text, told = "the café\n" * 20, []
    v = Words.of(text, text)
    blocks = [text[:50], text[50:52], text[52:]]
    evaluate(model_for(v), v, blocks, progress=told.append)
    assert told == [len(block.encode()) for block in blocks]


@pytest.mark.parametrize("streams", [None, 1, 3, 5])
@pytest.mark.parametrize("length", [100, 1000, 2100, 3333])
def test_stretches_side_by_side_score_what_one_straight_pass_does(monkeypatch, streams, length):
    monkeypatch.setattr(evaluation, "CHUNK", 32)
    monkeypatch.setattr(evaluation, "WARM_UP", 64)
    monkeypatch.setattr(evaluation, "STRETCH", 200)
    v, text = Characters(LETTERS), random_text(length)
    model = model_for(v)
    score = evaluate(model, v, text, streams=streams)
    assert score.tokens == length - 1  # each token once
    assert score.nats == pytest.approx(nats_by_hand(model, v.encode(text)), rel=1e-5)


def test_bytes_and_words_are_compared_by_the_character():
    text = "the café is the café, the naïve yak is not the café\n" * 3
    b = Bytes()
    model = model_for(b)
    score = evaluate(model, b, text)
    assert score.tokens == len(text.encode()) - 1
    assert score.characters == len(text) - 1
    assert score.nats == pytest.approx(nats_by_hand(model, b.encode(text)), rel=1e-6)

    w = Words.of(text[:52], text)
    model = model_for(w)
    for given in (text, [text[i : i + 5] for i in range(0, len(text), 5)]):
        score = evaluate(model, w, given)
        first = len(w.decode([int(w.encode(text)[0])]))
        assert score.characters == len(text) - first
        assert score.words == w.words(text) - 1
        assert score.nats == pytest.approx(nats_by_hand(model, w.encode(text)), rel=1e-6)


def test_unknown_characters_are_an_error_or_left_out():
    v = Characters(LETTERS)
    model = model_for(v)
    with pytest.raises(UnknownCharacters, match="'X'"):
        evaluate(model, v, "abXcd")
    score = evaluate(model, v, ["aXb", "XX", "cd"], skip_unknown=True)
    assert score.skipped == 3
    assert score.nats == pytest.approx(evaluate(model, v, "abcd").nats)


@pytest.mark.parametrize("text", ["", "a", []])
def test_too_short_to_score(text):
    v = Characters(LETTERS)
    with pytest.raises(UserError, match="fewer than two tokens"):
        evaluate(model_for(v), v, text)


def test_figures_as_a_dict():
    v = Characters(LETTERS)
    figures = evaluate(model_for(v), v, "abc").as_dict()
    assert figures["tokens"] == 2
    assert figures["bits_per_character"] == figures["bits_per_token"]


def test_wrong_streams():
    v = Characters(LETTERS)
    with pytest.raises(UserError, match="streams: expected at least 1, got 0"):
        evaluate(model_for(v), v, "abc", streams=0)
