"""n-gram models: proper distributions, and the formula followed by hand."""

from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from glasscell.tasks.language.corpus import default_corpus
from glasscell.tasks.language.levels import build_vocabulary
from glasscell.tasks.language.ngram import NGram
from glasscell.tasks.language.text import split_by_position

V = 6


def witten_bell(train, order):
    """The textbook recursion, with dictionaries."""
    counts = defaultdict(Counter)
    for k in range(order + 1):
        for t in range(k, len(train)):
            counts[tuple(train[t - k : t])][train[t]] += 1

    def p(w, context):
        lower = p(w, context[1:]) if context else 1 / V
        seen = counts.get(tuple(context))
        if not seen:
            return lower
        n, u = sum(seen.values()), len(seen)
        return (seen[w] + u * lower) / (n + u)

    return p


@pytest.mark.parametrize("order", [0, 1, 2, 4])
def test_it_is_the_textbook_recursion(order):
    train, text = torch.randint(V - 1, (300,)), torch.randint(V, (80,))
    model = NGram(order, V).fit(train)
    p = witten_bell(train.tolist(), order)
    ids = text.tolist()
    expected = [-np.log2(p(ids[t], ids[max(0, t - order) : t])) for t in range(1, len(ids))]
    np.testing.assert_allclose(model.bits(text), expected, rtol=1e-10)
    assert model.bits_per_token(text) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("order", [0, 1, 3])
def test_every_distribution_sums_to_one(order):
    model = NGram(order, V).fit(torch.randint(V - 1, (200,)))
    for context in ([], [0], [5], [0, 1, 2, 3], [5, 5, 5], [1, 5, 2]):
        probabilities = model.probabilities(torch.tensor(context, dtype=torch.long))
        assert probabilities.sum() == pytest.approx(1)
        assert (probabilities > 0).all()


def test_order_zero_on_its_own_text_is_close_to_the_entropy():
    tokens = torch.randint(V, (5000,)) * torch.randint(2, (5000,))
    q = np.bincount(tokens.numpy(), minlength=V) / len(tokens)
    entropy = -(q * np.log2(q)).sum()
    assert NGram(0, V).fit(tokens).bits_per_token(tokens) == pytest.approx(entropy, abs=0.01)


def test_longer_contexts_predict_english_better():
    split = split_by_position(default_corpus())
    v = build_vocabulary("char", split)
    train, test = v.encode(split.train), v.encode(split.test)
    bits = [NGram(order, len(v)).fit(train).bits_per_token(test) for order in range(4)]
    assert bits == sorted(bits, reverse=True)
    assert 4.0 < bits[0] < 5.0
    assert bits[3] < 2.2


def test_wrong_orders():
    with pytest.raises(ValueError, match="order"):
        NGram(-1, V)
    with pytest.raises(ValueError, match="too long a context"):
        NGram(9, 256)


def test_nothing_to_predict():
    ngram = NGram(1, 4).fit(torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="tokens: expected at least 2, got 1"):
        ngram.bits_per_token(torch.tensor([1]))
