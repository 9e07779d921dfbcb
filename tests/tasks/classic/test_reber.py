"""The embedded Reber grammar, against a regular expression and against counted strings."""

import re
from collections import Counter

import pytest
import torch

from glasscell.errors import InputError
from glasscell.tasks.classic import Reber
from glasscell.tasks.classic.reber import SYMBOLS

# The same language as a regular expression, read off the drawing in the paper.
FROM_3 = "(T*VPX)*T*V(V|PS)"
EMBEDDED = re.compile(f"B([TP])B(TS*X(S|X{FROM_3})|P{FROM_3})E\\1E")


def strings(batch):
    """Each string, with the E that is never read, and the legal symbols after each of its own."""
    for b, n in enumerate(batch.lengths.tolist()):
        text = "".join(SYMBOLS[k] for k in batch.inputs[:n, b].argmax(-1).tolist())
        legal = ["".join(SYMBOLS[k] for k in row.nonzero()) for row in batch.targets[:n, b]]
        yield text + "E", legal


@pytest.fixture(scope="module")
def drawn():
    return list(strings(Reber(T=60).batch(10_000, torch.Generator().manual_seed(0))))


def test_every_string_is_of_the_language(drawn):
    assert all(EMBEDDED.fullmatch(text) for text, _ in drawn)


def test_legal_is_what_strings_of_the_language_go_on_with(drawn):
    follows: dict[str, set[str]] = {}
    for text, _ in drawn:
        for k in range(1, len(text)):
            follows.setdefault(text[:k], set()).add(text[k])
    seen = 0
    for text, legal in drawn[:2000]:
        assert len(legal) == len(text) - 1
        for k in range(1, len(text)):
            # every way on: of the beginnings that came often, all of them
            assert follows[text[:k]] <= set(legal[k - 1])
            if k <= 7:
                assert follows[text[:k]] == set(legal[k - 1])
                seen += 1
    assert seen > 10_000


@pytest.mark.parametrize(
    ("text", "choices"),
    [("BTBTXSETE", 4), ("BPBPVVEPE", 4), ("BTBTSXSETE", 5), ("BTBPTVVETE", 5), ("BPBTXXVVEPE", 6)],
)
def test_strings_are_as_likely_as_the_choices_that_lead_to_them(drawn, text, choices):
    share = Counter(t for t, _ in drawn)[text] / len(drawn)
    expected = 2.0**-choices
    assert share == pytest.approx(expected, abs=5 * (expected / len(drawn)) ** 0.5)


def test_half_of_the_strings_are_as_short_as_its_description_says(drawn):
    read = torch.tensor([len(text) - 1 for text, _ in drawn])
    share = {n: float((read <= n).double().mean()) for n in (9, 10, 40)}
    assert share[9] < 0.48 < 0.52 < share[10]
    assert share[40] > 0.999


def test_longer_strings_are_drawn_again():
    found = Counter(t for t, _ in strings(Reber(T=8).batch(4000, torch.Generator().manual_seed(1))))
    assert set(found) == {"BTBTXSETE", "BTBPVVETE", "BPBTXSEPE", "BPBPVVEPE"}
    assert all(abs(count / 4000 - 1 / 4) < 0.035 for count in found.values())
    assert int(Reber(T=13).batch(500, torch.Generator()).lengths.max()) <= 13


def test_who_forgets_the_second_symbol_is_right_at_half_of_the_strings():
    task = Reber()
    batch = task.batch(4000, torch.Generator().manual_seed(2))
    answers = 20 * batch.targets - 10
    which = torch.arange(4000)
    decisive = batch.lengths - 2
    assert bool((batch.targets[decisive, which].sum(-1) == 1).all())
    second = batch.inputs[1]  # T or P
    assert torch.equal(batch.targets[decisive, which], second)
    guess = torch.full((7,), -10.0)
    guess[SYMBOLS.index("T")] = 10.0
    answers[decisive, which] = guess
    told = task.details(answers, batch)
    assert task.score(answers, batch) == told["decisive step"] == pytest.approx(0.5, abs=0.03)
    guess[SYMBOLS.index("P")] = 10.0  # both: never right
    answers[decisive, which] = guess
    assert task.score(answers, batch) == 0


def test_the_shortest_string_has_8_steps():
    with pytest.raises(InputError, match="T: expected at least 8 steps, got 7"):
        Reber(T=7)
