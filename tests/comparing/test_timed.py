"""One training by a clock of its own."""

import time
from copy import copy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from glasscell.comparing.models import Size
from glasscell.comparing.run import RUNS, Run, read_runs, write_run
from glasscell.comparing.timed import LOOKS, Limit, tokens_per_second, train
from glasscell.comparing.training_one import first_weights, probe, train_one
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


def altered(workload, **changes) -> Any:
    """A workload with another validation, or another loss."""
    other = copy(workload)
    for name, change in changes.items():
        setattr(other, name, change)
    return other


class BadLoss:
    """A feed whose losses are too large from the fifth update on."""

    def __init__(self, feed):
        self.feed, self.n = feed, 0

    def loss(self, model):
        self.n += 1
        return self.feed.loss(model) * (float("inf") if self.n >= 5 else 1.0)


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


def test_divergence_is_a_result(adding):
    bad = altered(adding, feed=lambda seed: BadLoss(adding.feed(seed)))
    with pytest.raises(TrainingDiverged):
        trained(bad, Limit(steps=20))
    run = train_one(bad, "gru", Size(4), 0, Limit(steps=20))
    assert (run.status, run.score, run.updates) == ("diverged", None, 5)
    assert run.why == "the loss became inf at step 5: training stopped"
    assert [look.updates for look in run.looks] == [2, 4]
    assert run.parameters > 0


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_score_that_is_no_number_is_divergence_too(adding, part):
    bad = altered(adding, **{part: lambda model: float("nan")})
    run = train_one(bad, "gru", Size(4), 0, Limit(steps=4))
    assert (run.status, run.score) == ("diverged", None)
    assert "nan" in run.why


def test_a_whole_run_and_its_files(adding, tmp_path):
    run = train_one(adding, "lstm", Size(6), 2, Limit(steps=12), folder=tmp_path)
    (tmp_path / RUNS).mkdir(exist_ok=True)
    assert run.status == "done"
    assert run.training_speed == pytest.approx(12 * 32 * 20 / run.seconds)
    assert run.inference_speed
    assert run.memory_steps
    assert run.longest_steps
    assert 0 < run.memory_steps <= run.longest_steps
    write_run(tmp_path, run, "plan-a")
    assert read_runs(tmp_path, "plan-a") == [run]
    assert read_runs(tmp_path, "plan-b") == []

    from safetensors.torch import load_file

    model = first_weights(adding, "lstm", Size(6), 99)
    model.load_state_dict(load_file(tmp_path / RUNS / "lstm-seed2.safetensors"))
    assert adding.test(model.eval()) == pytest.approx(run.score)


@pytest.fixture(autouse=True)
def _runs_folder(tmp_path):
    (tmp_path / RUNS).mkdir()


def test_a_cell_without_a_keeping_gate_has_no_memory_span(adding):
    run = train_one(adding, "rnn", Size(4), 0, Limit(steps=1))
    assert (run.status, run.memory_steps, run.longest_steps) == ("done", None, None)


def test_files_that_are_no_runs_are_passed_over(tmp_path):
    for name, text in {
        "a": "",
        "b": "[]",
        "c": '{"plan": "p"}',
        "d": '{"plan": "p", "cell": 3}',
    }.items():
        (tmp_path / RUNS / f"{name}.json").write_text(text)
    assert read_runs(tmp_path, "p") == []


def test_names_of_files():
    run = Run("lstm(output_gate=None, x='/..')", 3, Size(4), 1, "done")
    assert "/" not in run.name
    assert run.name.endswith("-seed3")


def test_speed_and_probe(adding):
    model = first_weights(adding, "lstm", Size(4), 0)
    assert tokens_per_second(model, adding, 0.01) > 100
    found = probe(adding, "lstm", Size(4))
    assert found["update"] > 0
    assert found["around"] > 0.3
    assert found["stretch"] >= 1
