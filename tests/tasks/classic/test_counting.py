"""a^n b^n and a^n b^n c^n, against the languages written out."""

from itertools import combinations, product

import pytest
import torch
from torch import nn

from glasscell.errors import InputError
from glasscell.tasks.classic import Anbn, Anbncn

BOTH = pytest.mark.parametrize(("kind", "letters"), [(Anbn, "ab"), (Anbncn, "abc")])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def language(letters, up_to):
    """Start and end are written S and $."""
    return ["S" + "".join(letter * n for letter in letters) + "$" for n in range(1, up_to + 1)]


@BOTH
def test_strings_and_what_may_come_next(kind, letters):
    words = language(letters, 14)
    batch = kind().strings(range(1, 13))
    for b in range(12):
        n = int(batch.lengths[b])
        text = "".join(("S" + letters)[k] for k in batch.inputs[:n, b].argmax(-1).tolist())
        assert text + "$" == words[b]
        assert batch.inputs[:n, b].sum(-1).tolist() == [1.0] * n
        for t in range(n):
            may = {word[t + 1] for word in words if word.startswith(text[: t + 1])}
            told = {(letters + "$")[k] for k in batch.targets[t, b].nonzero().flatten().tolist()}
            assert told == may, (text, t)


@BOTH
def test_every_n_that_there_is_room_for_is_as_likely(kind, letters):
    L = len(letters)
    for T, shortest, expected in ((1 + 4 * L, 1, {1, 2, 3, 4}), (4 * L, 2, {2, 3})):
        task = kind(T, shortest)
        n = (task.batch(6000, seeded()).lengths - 1) / L
        counts = {int(k): int((n == k).sum()) for k in n.unique()}
        assert set(counts) == expected
        assert all(abs(c / 6000 - 1 / len(expected)) < 0.03 for c in counts.values())


@pytest.mark.parametrize("N", [1, 4, 10])
def test_who_does_not_count_is_right_at_one_n_alone(N):
    """The best of all answers that know only the last symbol read."""
    task = Anbn(T=2 * N + 1)
    batch = task.strings(range(1, N + 1))
    read = batch.inputs.argmax(-1)
    sets = [s for size in range(4) for s in combinations(range(3), size)]
    best = 0.0
    for answer in product(sets, repeat=3):
        table = torch.full((3, 3), -1.0)
        for symbol, may in enumerate(answer):
            table[symbol, list(may)] = 1.0
        best = max(best, task.score(table[read], batch))
    assert best == pytest.approx(1 / N)


class Counter(nn.Module):
    """Right at every n but one."""

    def __init__(self, task, fails_at):
        super().__init__()
        self.task, self.fails_at = task, fails_at
        self.longest = 0

    def forward(self, x, lengths):
        n = (lengths - 1) // self.task.letters
        self.longest = max(self.longest, int(n.max()))
        answers = 2 * self.task.strings(n.tolist()).targets - 1
        answers[2, n == self.fails_at] *= -1
        return answers


@BOTH
@pytest.mark.parametrize("fails_at", [1, 2, 37, 64, 65, 150])
def test_reach_is_the_last_n_before_the_first_that_is_wrong(kind, letters, fails_at):
    model = Counter(kind(), fails_at).train()
    assert kind().reach(model) == fails_at - 1
    assert model.training


@BOTH
def test_reach_looks_no_further_than_it_is_told(kind, letters):
    model = Counter(kind(), 0)
    assert kind().reach(model, up_to=70) == 70 == model.longest


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Anbn(T=2), "T: expected at least 3 steps, got 2"),
        (lambda: Anbncn(T=3), "T: expected at least 4 steps, got 3"),
        (lambda: Anbn(T=21, shortest=11), "shortest: expected from 1 to 10, .*T=21.* got 11"),
        (lambda: Anbn(shortest=0), "shortest: expected from 1 to 10"),
    ],
)
def test_sizes_that_cannot_be(make, says):
    with pytest.raises(InputError, match=says):
        make()
