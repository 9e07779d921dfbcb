"""Dyck-2 of bounded depth, against a stack and against all strings there are."""

from collections import Counter
from itertools import product

import pytest
import torch
from scipy import stats

from glasscell.errors import InputError
from glasscell.tasks.classic import Dyck2

CLOSES = {"(": ")", "[": "]"}
SYMBOLS = "([)]"


def strings(batch):
    """Each string, and what may come after the start and after each of its brackets ($ the end)."""
    for b, n in enumerate(batch.lengths.tolist()):
        read = batch.inputs[:n, b].argmax(-1).tolist()
        assert read[0] == 4
        assert 4 not in read[1:]
        told = ["".join((SYMBOLS + "$")[k] for k in row.nonzero()) for row in batch.targets[:n, b]]
        yield "".join(SYMBOLS[k] for k in read[1:]), told


def deepest(text):
    """How deep well-nested brackets go; -1 if they are not well nested."""
    stack, deep = [], 0
    for symbol in text:
        if symbol in CLOSES:
            stack.append(symbol)
            deep = max(deep, len(stack))
        elif not stack or CLOSES[stack.pop()] != symbol:
            return -1
    return -1 if stack else deep


@pytest.mark.parametrize(("T", "depth"), [(31, 3), (41, 1), (24, 2), (61, 8)])
def test_strings_and_what_may_come_next_by_a_stack(T, depth):
    lengths = set()
    for text, told in strings(Dyck2(T, depth).batch(400, torch.Generator().manual_seed(0))):
        assert 1 <= deepest(text) <= depth
        lengths.add(len(text))
        stack = []
        for t, legal in enumerate(told):
            if t:
                symbol = text[t - 1]
                stack.append(symbol) if symbol in CLOSES else stack.pop()
            may = "([" if len(stack) < depth else ""
            may += CLOSES[stack[-1]] if stack else "$" * (t > 0)
            assert legal == may
    assert lengths == set(range(2, 2 * ((T - 1) // 2) + 1, 2))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_string_of_a_length_is_as_likely(depth):
    draws = 8000
    found = Counter(t for t, _ in strings(Dyck2(T=7, depth=depth).batch(draws, torch.Generator())))
    expected = {}
    for pairs in (1, 2, 3):
        texts = ["".join(each) for each in product(SYMBOLS, repeat=2 * pairs)]
        texts = [text for text in texts if 1 <= deepest(text) <= depth]
        expected |= {text: draws / 3 / len(texts) for text in texts}
    assert set(found) == set(expected)
    observed = [found[text] for text in expected]
    assert stats.chisquare(observed, list(expected.values())).pvalue > 0.001


def test_long_strings_do_not_lose_their_way():
    for text, _ in strings(Dyck2(T=2001, depth=5).batch(4, torch.Generator().manual_seed(0))):
        assert 1 <= deepest(text) <= 5


def test_the_kind_of_the_bracket_that_closes_is_scored_apart():
    task = Dyck2()
    batch = task.batch(300, torch.Generator().manual_seed(0))
    answers = 20 * batch.targets - 10
    assert task.details(answers, batch) == {"closing brackets": 1.0, "steps": 1.0}
    answers[..., 2:4] = 0.0  # both alike: neither
    assert task.details(answers, batch)["closing brackets"] == 0
    answers[..., 2] = 1.0  # always the round one
    share = task.details(answers, batch)["closing brackets"]
    assert share == pytest.approx(0.5, abs=0.05)
    answers[..., 2:4] = float("nan")
    assert task.details(answers, batch)["closing brackets"] == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"T": 2}, "T: expected at least 3 steps, got 2"),
        ({"depth": 0}, "depth: expected at least 1"),
    ],
)
def test_sizes_that_cannot_be(wrong, says):
    with pytest.raises(InputError, match=says):
        Dyck2(**wrong)
