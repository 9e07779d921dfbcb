"""One training by a clock of its own."""

import time
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from tests.comparing.altered import BadLoss, altered

from glasscell.comparing.models import Size
from glasscell.comparing.trainings.timed import LOOKS, Limit, Timed, tokens_per_second, train
from glasscell.comparing.trainings.train_one import first_weights
from glasscell.comparing.workloads import read_workload
from glasscell.training.diverged import TrainingDiverged


@pytest.fixture(scope="module")
def adding():
    return read_workload({"task": "classic", "name": "adding", "T": 20})


def trained(workload, limit, rate=0.01, seed=0, **options):
    model = first_weights(workload, "gru", Size(4), seed)
    return model, train(model, workload, limit, learning_rate=rate, seed=seed, **options)


def test_exactly_so_many_updates_and_the_same_again(adding):
    model, done = trained(adding, Limit(steps=25))
    again, _ = trained(adding, Limit(steps=25))
    assert done.updates == 25
    assert len(done.looks) == LOOKS
    assert [look.updates for look in done.looks] == [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_few_updates_are_looked_at_once_each(adding, steps):
    _, done = trained(adding, Limit(steps=steps))
    assert [look.updates for look in done.looks] == list(range(1, steps + 1))


@pytest.mark.parametrize("lower", [True, False])
def test_the_best_weights_are_kept(adding, lower):
    scores = iter([5.0, 2.0, 7.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0])
    seen = []

    def validation(model):
        seen.append({name: t.clone() for name, t in model.state_dict().items()})
        return next(scores)

    measure = replace(adding.measure, lower_is_better=lower)
    model, _ = trained(altered(adding, validation=validation, measure=measure), Limit(steps=40))
    best = seen[1 if lower else 2]
    assert all(torch.equal(t, best[name]) for name, t in model.state_dict().items())
    assert not model.training


def test_time_is_that_of_updates(adding):
    def slowly(done, look):
        time.sleep(0.002)  # no time of the processor

    _, done = trained(adding, Limit(seconds=0.15), watch=slowly)
    assert 0.15 <= done.seconds < 0.4
    seconds = [look.seconds for look in done.looks]
    assert all(a < b for a, b in pairwise(seconds))
    assert done.updates > 3


def test_what_diverges_has_told_how_far_it_came(adding):
    bad, done = altered(adding, feed=lambda seed: BadLoss(adding.feed(seed))), Timed()
    with pytest.raises(TrainingDiverged):
        trained(bad, Limit(steps=20), done=done)
    assert done.updates == 4
    assert [look.updates for look in done.looks] == [2, 4]
    assert done.seconds > done.looks[-1].seconds > 0  # the fifth took some time too


def test_the_speed_of_reading(adding):
    model = first_weights(adding, "lstm", Size(4), 0)
    start = time.process_time()
    assert tokens_per_second(model, adding, 0.05) > 100
    assert time.process_time() - start >= 0.05
