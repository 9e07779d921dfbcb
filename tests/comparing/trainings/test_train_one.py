"""One training of a comparison, measured; and the files that it leaves."""

import json
import math

import pytest
from tests.comparing.altered import BadLoss, altered

from glasscell.comparing.folder import RUNS
from glasscell.comparing.models import Size
from glasscell.comparing.trainings.probe import probe
from glasscell.comparing.trainings.run import Run, read_runs, write_run
from glasscell.comparing.trainings.timed import READING, Limit
from glasscell.comparing.trainings.train_one import first_weights, train_one
from glasscell.comparing.workloads import read_workload


@pytest.fixture(scope="module")
def adding():
    return read_workload({"task": "classic", "name": "adding", "T": 20})


@pytest.fixture(autouse=True)
def _runs_folder(tmp_path):
    (tmp_path / RUNS).mkdir()


def test_divergence_is_a_result(adding):
    bad = altered(adding, feed=lambda seed: BadLoss(adding.feed(seed)))
    run = train_one(bad, "gru", Size(4), 0, Limit(steps=20))
    assert (run.status, run.score, run.updates) == ("diverged", None, 5)
    assert run.why == "the loss became inf at step 5: training stopped"
    assert [look.updates for look in run.looks] == [2, 4]
    assert run.parameters > 0
    assert 0 < run.looks[-1].seconds < run.seconds <= run.wall_seconds


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_score_that_is_no_number_is_divergence_too(adding, part):
    bad = altered(adding, **{part: lambda model: float("nan")})
    run = train_one(bad, "gru", Size(4), 0, Limit(steps=4))
    assert (run.status, run.score) == ("diverged", None)
    assert "nan" in run.why
    assert 0 < run.seconds < run.wall_seconds
    assert run.learning_rate == adding.learning_rate("gru", 4)


def test_a_whole_run_and_its_files(adding, tmp_path):
    run = train_one(adding, "lstm", Size(6), 2, Limit(steps=12), folder=tmp_path)
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


@pytest.mark.parametrize(("cell", "steps"), [("rnn", None), ("no_forget_gate", math.inf)])
def test_cells_without_a_memory_and_with_one_without_end(adding, tmp_path, cell, steps):
    run = train_one(adding, cell, Size(4), 0, Limit(steps=1))
    assert (run.status, run.memory_steps, run.longest_steps) == ("done", steps, steps)
    write_run(tmp_path, run, "p")
    assert read_runs(tmp_path, "p") == [run]
    written = (tmp_path / RUNS / f"{run.name}.json").read_text()
    json.loads(written, parse_constant=pytest.fail)  # JSON itself has no infinity


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


def test_a_probe(adding):
    pace = probe(adding, "lstm", Size(4))
    assert pace.update > 0
    assert pace.around > READING
    assert pace.stretch >= 1
