"""The copy memory task, against the paper's words."""

import math

import pytest
import torch
from torch.nn import functional as F

from glasscell.errors import InputError
from glasscell.tasks.classic import Copy


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_as_the_paper_says_it_sequence_by_sequence():
    T = 30
    batch = Copy(T).batch(200, seeded())
    read = batch.inputs.argmax(-1)
    assert torch.equal(batch.inputs.sum(-1), torch.ones(T + 20, 200))
    for b in range(200):
        x, y = read[:, b].tolist(), batch.targets[:, b].tolist()
        assert all(0 <= k < 8 for k in x[:10])
        assert x[10:] == [8] * (T - 1) + [9] + [8] * 10
        assert y == [8] * (T + 10) + x[:10]
    assert set(read[:10].flatten().tolist()) == set(range(8))


@pytest.mark.parametrize(("T", "symbols", "kinds"), [(100, 10, 8), (5, 3, 2)])
def test_chance_and_the_loss_without_memory(T, symbols, kinds):
    task = Copy(T, symbols, kinds)
    batch = task.batch(4000, seeded())
    forgetful = torch.full((*batch.targets.shape, kinds + 1), -math.inf)
    forgetful[:-symbols, :, kinds] = 0.0
    forgetful[-symbols:, :, :kinds] = 0.0
    # cross_entropy takes -inf where nothing of it is asked for
    assert float(task.loss(forgetful, batch)) == pytest.approx(task.memoryless_loss, rel=1e-5)
    scores = []
    for k in range(kinds + 1):
        always = F.one_hot(torch.tensor(k), kinds + 1).float().expand(*batch.targets.shape, -1)
        scores.append(task.score(always, batch))
    assert scores[-1] == 0
    assert max(scores) == pytest.approx(task.chance, abs=0.02)


def test_the_papers_own_number():
    assert Copy(T=100).memoryless_loss == pytest.approx(10 * math.log(8) / 120)


def test_only_the_symbols_are_scored():
    task = Copy(T=4, symbols=2, kinds=3)
    batch = task.batch(50, seeded())
    answers = 20.0 * F.one_hot(batch.targets, 4)
    assert task.score(answers, batch) == task.optimum == 1
    assert task.details(answers, batch) == {"sequences": 1.0, "blanks": 1.0}
    answers[:-2] = 0.0  # all alike: the first symbol
    assert task.score(answers, batch) == 1
    assert task.details(answers, batch) == {"sequences": 1.0, "blanks": 0.0}
    answers[-1, :5] = float("nan")
    assert task.score(answers, batch) == pytest.approx(0.95)
    assert task.details(answers, batch)["sequences"] == pytest.approx(0.9)


@pytest.mark.parametrize("wrong", [{"T": 0}, {"symbols": 0}, {"kinds": 1}])
def test_sizes_that_cannot_be(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(InputError, match=f"{name}: expected at least {value + 1}, got {value}"):
        Copy(**wrong)
