"""A comparison from its plan to what was found, gone on with, stopped, and gone wrong."""

import json
from pathlib import Path

import pytest
from tests.comparing.in_process import InProcess

import glasscell
from glasscell.comparing import run_comparison
from glasscell.comparing.plan import ComparisonPlan
from glasscell.comparing.processes.messages import Answer, TrainOrder
from glasscell.comparing.trainings import probe, train_one
from glasscell.comparing.trainings.timed import Limit
from glasscell.errors import UserError
from glasscell.training.signals import Interrupted

SMALL = {"cells": "lstm,rnn", "seeds": 3, "steps": 4, "hidden": 4, "progress": False}


@pytest.fixture(autouse=True)
def _in_a_moment(monkeypatch):
    """Nobody waits for what a budget gives, or for a speed that nobody reads."""
    whole, speed = train_one.train, train_one.tokens_per_second

    def short(model, workload, limit, **options):
        few = limit if limit.steps else Limit(steps=5)
        return whole(model, workload, few, **options)

    def quick(model, workload, seconds=0.0):
        return speed(model, workload, 0.001)

    for module in (train_one, probe):
        monkeypatch.setattr(module, "train", short)
        monkeypatch.setattr(module, "tokens_per_second", quick)


@pytest.fixture
def pool(monkeypatch):
    made = InProcess()
    monkeypatch.setattr(run_comparison, "ProcessPool", made)
    return made


def compare(out, **changes):
    return glasscell.compare("classic", "adding", T=20, out=out, **{**SMALL, **changes})


def trained(pool):
    return [(o.cell, o.seed) for o in pool.orders if isinstance(o, TrainOrder)]


def test_a_whole_comparison(pool, tmp_path):
    found = compare(tmp_path / "c")
    assert [cell.cell for cell in found.cells] == ["lstm", "rnn"]
    # seed by seed, so that what there is at any time can be compared
    assert trained(pool) == [(cell, seed) for seed in range(3) for cell in ("lstm", "rnn")]
    base, other = found.cells
    assert abs(other.parameters / base.parameters - 1) < 0.1
    assert other.hidden > base.hidden
    assert {run.updates for cell in found.cells for run in cell.runs} == {4}
    (finding,) = found.findings
    scores = [[run.score for run in cell.runs] for cell in found.cells]
    assert finding.difference.values == pytest.approx([b - a for a, b in zip(*scores, strict=True)])
    assert found.words[0].startswith("A plain tanh RNN: ")
    assert found["rnn"] is other

    written = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert written == found.as_dict()
    assert written["findings"][0]["words"] == found.words[0]
    page = (tmp_path / "c" / "comparison.html").read_text("utf-8")
    assert found.words[0].partition(": ")[2] in page
    assert len(list((tmp_path / "c" / "runs").glob("*.safetensors"))) == 6


def test_the_same_again_to_the_bit(pool, tmp_path):
    one, two = compare(tmp_path / "a"), compare(tmp_path / "b")
    assert [[r.score for r in c.runs] for c in one.cells] == [
        [r.score for r in c.runs] for c in two.cells
    ]


def test_resuming_repeats_nothing_and_may_add(pool, tmp_path):
    out = tmp_path / "c"
    before = compare(out)
    files = {path: path.stat().st_mtime_ns for path in (out / "runs").iterdir()}
    pool.orders.clear()
    again = compare(out, resume=True)
    assert pool.orders == []
    assert again.findings == before.findings

    more = compare(out, resume=True, seeds=4, cells="gru")
    assert set(trained(pool)) == {
        ("lstm", 3), ("rnn", 3), ("gru", 0), ("gru", 1), ("gru", 2), ("gru", 3)
    }  # fmt: skip
    assert [cell.cell for cell in more.cells] == ["lstm", "rnn", "gru"]
    assert all(path.stat().st_mtime_ns == when for path, when in files.items())
    kept = glasscell.compare(
        "classic", "adding", T=20, out=out, resume=True, progress=False
    )  # what is not said stays
    assert [len(cell.runs) for cell in kept.cells] == [4, 4, 4]


def test_a_run_that_was_cut_off_is_made_again(pool, tmp_path):
    out = tmp_path / "c"
    before = compare(out)
    (out / "runs" / "rnn-seed1.json").unlink()  # its weights had been written, its numbers not
    (out / "runs" / ".rnn-seed2.json.77.part").write_text("{")
    (out / "comparison.json").unlink()
    pool.orders.clear()
    after = compare(out, resume=True)
    assert trained(pool) == [("rnn", 1)]
    assert after["rnn"].score == before["rnn"].score


def test_stopping_says_what_there_is(pool, tmp_path):
    def stop_at_the_fourth(order):
        if len(trained(pool)) == 4:
            raise KeyboardInterrupt

    pool.meddle = stop_at_the_fourth
    with pytest.raises(
        Interrupted, match="stopped; 3 of 6 trainings are done and stand in"
    ) as told:
        compare(tmp_path / "c")
    assert told.value.resumable
    pool.meddle = lambda order: None
    assert [len(cell.done) for cell in compare(tmp_path / "c", resume=True).cells] == [3, 3]


def test_stopping_without_a_folder_leaves_nothing_to_go_on_with(pool):
    def stop(order):
        raise KeyboardInterrupt

    pool.meddle = stop
    with pytest.raises(Interrupted, match="are lost, as there is no folder") as told:
        compare(None)
    assert not told.value.resumable


def test_a_crash_and_a_divergence_are_results(pool, tmp_path):
    def trouble(order):
        if isinstance(order, TrainOrder) and (order.cell, order.seed) == ("rnn", 1):
            return Answer("failed", why="its process was killed (signal 9)")
        return None

    pool.meddle = trouble
    found = compare(tmp_path / "c")
    lost = found["rnn"].runs[1]
    assert (lost.status, lost.score, lost.parameters) == ("failed", None, found["rnn"].parameters)
    assert found["rnn"].score.n == 2
    assert found.findings[0].seeds == (0, 2)
    assert "rnn from seed 1" in found.words[0]
    assert "its process was killed" in str(found)
    # what failed is tried again, what diverged is not
    path = tmp_path / "c" / "runs" / "rnn-seed2.json"
    numbers = json.loads(path.read_text())
    path.write_text(json.dumps({**numbers, "status": "diverged", "score": None, "why": "nan"}))
    pool.meddle = lambda order: None
    pool.orders.clear()
    again = compare(tmp_path / "c", resume=True)
    assert trained(pool) == [("rnn", 1)]
    assert again.findings[0].verdict == "unstable"
    assert "1 of 3 trainings of rnn diverged" in again.words[0]


def test_time_is_planned_by_a_probe(pool, tmp_path):
    found = compare(tmp_path / "c", steps=None, budget="40s", seeds=1, jobs=2)
    plan = ComparisonPlan.read(tmp_path / "c")
    assert plan.budget == 40
    assert plan.limit.seconds is not None
    assert 1 < plan.limit.seconds < 40
    assert found.findings[0].verdict == "too few seeds"


def test_a_budget_that_is_too_short_leaves_nothing(pool, tmp_path):
    with pytest.raises(UserError, match=r"budget: 1\.0 s is too short for 2 cells from 3 seeds"):
        compare(tmp_path / "c", steps=None, budget=1)
    assert not (tmp_path / "c").exists()


def test_a_cell_that_cannot_be_trained_is_told_at_once(pool, tmp_path):
    pool.meddle = lambda order: Answer("failed", why="there is not enough memory")
    with pytest.raises(UserError, match="lstm cannot be trained: there is not enough memory"):
        compare(tmp_path / "c", steps=None, budget="5m")


def test_nothing_is_kept_without_a_folder(pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = compare(None, seeds=1)
    assert found.cells[0].score.n == 1
    assert list(tmp_path.iterdir()) == []


def test_other_cells_than_asked_for_come_from_a_line(pool, tmp_path):
    found = compare(tmp_path / "c", cells=["lstm(forget_gate=None, output_gate=None)"], seeds=1)
    assert [cell.cell for cell in found.cells] == [
        "lstm", "lstm(forget_gate=None, output_gate=None)"
    ]  # fmt: skip


def test_a_folder_of_an_earlier_version(pool, tmp_path):
    """Runs in which a memory without end was null, and a plan of the same format: gone on with."""
    out = tmp_path / "c"
    compare(out, seeds=1, cells="no_forget_gate")
    path = out / "runs" / "no_forget_gate-seed0.json"
    numbers = json.loads(path.read_text())
    assert numbers["memory_steps"] == numbers["longest_steps"] == "Infinity"
    path.write_text(json.dumps({**numbers, "memory_steps": 7.5, "longest_steps": None}))
    pool.orders.clear()
    again = compare(out, resume=True, seeds=None, cells=None)
    assert pool.orders == []
    assert (again["no_forget_gate"].memory_steps, again["no_forget_gate"].longest_steps) == (
        7.5, float("inf")
    )  # fmt: skip
    plan = json.loads((out / "plan.json").read_text())
    (out / "plan.json").write_text(json.dumps({**plan, "format": 0}))
    with pytest.raises(UserError, match="written by another version"):
        compare(out, resume=True)


def test_folders(pool, tmp_path):
    out = tmp_path / "c"
    compare(out, seeds=1)
    with pytest.raises(UserError, match="holds a comparison; go on with it"):
        compare(out, seeds=1)
    replaced = compare(out, seeds=1, cells="gru", force=True)
    assert [cell.cell for cell in replaced.cells] == ["lstm", "gru"]
    assert {path.name for path in (out / "runs").glob("*.json")} == {
        "lstm-seed0.json", "gru-seed0.json"
    }  # fmt: skip
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(UserError, match="holds other things"):
            compare(other, force=force)
    assert (other / "precious.txt").read_text() == "mine"
    with pytest.raises(UserError, match="it is a file"):
        compare(other / "precious.txt")
    with pytest.raises(UserError, match=r"no comparison in .*nowhere to go on with"):
        compare(tmp_path / "nowhere", resume=True)
    (out / "plan.json").write_text('{"format": 1')
    with pytest.raises(UserError, match=r"plan\.json is damaged"):
        compare(out, resume=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hidden": 5}, "hidden: the comparison in .* has 4, not 5"),
        ({"steps": 5}, "steps: the comparison in .* has 4, not 5"),
        ({"steps": None, "budget": "9m"}, "budget: the comparison in .* has none, not 540"),
        ({"tune": True}, "tune: the cells in .* are not tuned"),
        ({"force": True}, "choose one"),
    ],
)
def test_resuming_something_else(pool, tmp_path, changes, says):
    compare(tmp_path / "c", seeds=1)
    with pytest.raises(UserError, match=says):
        compare(tmp_path / "c", resume=True, **changes)
    with pytest.raises(UserError, match=r"T: the comparison in .* has \d+, not 30"):
        glasscell.compare("classic", "adding", T=30, out=tmp_path / "c", resume=True)
    with pytest.raises(UserError, match=r"name: the comparison in .* has adding, not parity"):
        glasscell.compare("classic", "parity", out=tmp_path / "c", resume=True)


def test_what_is_not_said_again_stays(pool, tmp_path):
    compare(tmp_path / "c", seeds=1)
    again = glasscell.compare("classic", "adding", out=tmp_path / "c", resume=True, progress=False)
    assert again.title == "adding, T = 20"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seeds": 0}, "seeds: expected 1 to 1000, got 0"),
        ({"steps": 0}, "steps: expected 1 to"),
        ({"hidden": -3}, "hidden: expected 1 to"),
        ({"jobs": 0}, "jobs: expected 1 to"),
        ({"margin": -1}, "margin: expected 0 or more"),
        ({"budget": "5m"}, "budget and steps: give one"),
        ({"cells": "lsmt"}, "cells: .*'lsmt'.*lstm"),
        ({"out": None, "resume": True}, "out: say which folder"),
    ],
)
def test_options_that_cannot_be(pool, tmp_path, changes, says):
    with pytest.raises(UserError, match=says):
        compare(**{"out": tmp_path / "c", **changes})
    assert pool.orders == []
    assert not (tmp_path / "c").exists()


def test_tasks_that_cannot_be(tmp_path):
    with pytest.raises(UserError, match="task: expected one of text, series, classic"):
        glasscell.compare("texts", "x")
    with pytest.raises(TypeError, match="classic has no options level"):
        glasscell.compare("classic", "adding", level="char")
    with pytest.raises(UserError, match="series: expected one file, got 2"):
        glasscell.compare("series", ["a.csv", "b.csv"])
    with pytest.raises(OSError, match=str(tmp_path / "none")):
        glasscell.compare("text", tmp_path / "none", out=tmp_path / "c")


@pytest.mark.parametrize("task", ["text", "series"])
def test_the_other_tasks(pool, tmp_path, book, table, task):
    source, options = (book, {}) if task == "text" else (table, {"target": "demand"})
    found = glasscell.compare(task, source, out=tmp_path / "c", **options, **{**SMALL, "seeds": 1})
    assert Path(source).name in found.title
    assert all(cell.score.n == 1 for cell in found.cells)
    assert found.measure.levels
