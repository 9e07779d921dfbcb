"""Options chosen by Optuna: within the parameters, gone on with, and never by the test part."""

import json

import pytest
import torch
from tests.comparing.in_process import InProcess

import glasscell
from glasscell.comparing import run_comparison
from glasscell.comparing.models import Size, parameters
from glasscell.comparing.processes.messages import TrainOrder, TuneOrder
from glasscell.comparing.trainings import tuning
from glasscell.comparing.trainings.timed import Limit
from glasscell.comparing.workloads import read_workload
from glasscell.errors import UserError

optuna = pytest.importorskip("optuna")


@pytest.fixture
def workload(book):
    return read_workload({"task": "text", "files": [book]})


def search(workload, folder, cell="gru", seconds=None, **changes):
    wanted = parameters(workload.model("lstm", Size(8)))
    usual = {"parameters": wanted, "limit": Limit(steps=2), "seconds": seconds, "study": "s"}
    return tuning.tune(workload, cell, Size(9), folder=folder, **{**usual, **changes})


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(tuning, "TRIALS", 4)


def trials(folder, cell="gru"):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(folder / "tuning.journal")))
    return optuna.load_study(study_name=f"s-{cell}", storage=storage).trials


def test_the_best_trial_within_as_many_parameters(workload, tmp_path):
    found = search(workload, tmp_path)
    tried = trials(tmp_path)
    assert len(tried) == found.trials == 4
    done = [trial for trial in tried if trial.value is not None]
    assert found.score == min(trial.value for trial in done)
    usual = workload.learning_rate("gru", 9)
    assert tried[0].params == {"learning_rate": usual, "embedding": 64, "dropout": 0.0}
    wanted = parameters(workload.model("lstm", Size(8)))
    for trial in tried:
        size = Size(**trial.user_attrs["size"])
        assert size.embedding is not None
        assert size.embedding == trial.params["embedding"]
        assert size.dropout == trial.params["dropout"]
        assert 0.2 * usual <= trial.params["learning_rate"] <= 5 * usual
        with torch.device("meta"):
            count = parameters(workload.model("gru", size))
        # as near as a size can be: less than the weights of one unit more
        assert abs(count - wanted) < 3 * (size.embedding + 2 * size.hidden + 200)


def test_a_seed_chooses_the_same_again(workload, tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        search(workload, folder)
    first, second = ([trial.params for trial in trials(folder)] for folder in folders)
    assert first == second


def test_a_search_goes_on_where_it_was(workload, tmp_path, monkeypatch):
    """Killed in the middle of a trial: that one is lost, the others count."""
    whole = tuning.first_weights
    made = []

    def killed_in_the_third(*given):
        made.append(given)
        if len(made) == 3:
            raise SystemExit
        return whole(*given)

    monkeypatch.setattr(tuning, "first_weights", killed_in_the_third)
    with pytest.raises(SystemExit):
        search(workload, tmp_path)
    found = search(workload, tmp_path)
    tried = trials(tmp_path)
    assert [trial.state.name for trial in tried].count("RUNNING") == 0
    assert found.trials == 4
    assert len(made) == 4
    again = search(workload, tmp_path)
    assert (again, len(made)) == (found, 4)


def test_time_is_counted(workload, tmp_path):
    found = search(workload, tmp_path, seconds=0.3, limit=Limit(seconds=0.1))
    spent = sum(trial.user_attrs["seconds"] for trial in trials(tmp_path))
    assert 0.3 <= spent < 1.0
    assert found.trials >= 2


def test_what_diverges_is_passed_over_and_all_is_said(workload, tmp_path, monkeypatch):
    from glasscell.training.diverged import TrainingDiverged

    def diverging(*given, **options):
        raise TrainingDiverged(1, float("nan"), "loss")

    monkeypatch.setattr(tuning, "train", diverging)
    with pytest.raises(UserError, match="tuning of gru: every trial diverged"):
        search(workload, tmp_path)


def test_the_test_part_is_not_looked_at(workload, tmp_path, monkeypatch):
    looked = []

    def no_test(self, model):
        raise AssertionError("a trial was scored on the test part")

    def validation(self, model):
        looked.append(whole(self, model))
        return looked[-1]

    whole = type(workload).validation
    monkeypatch.setattr(type(workload), "test", no_test)
    monkeypatch.setattr(type(workload), "validation", validation)
    found = search(workload, tmp_path)
    assert found.score == min(looked)  # something was trained, and chosen by these alone
    assert len(set(looked)) > 4


def test_a_whole_comparison_with_tuning(tmp_path, monkeypatch):
    made = InProcess()
    monkeypatch.setattr(run_comparison, "ProcessPool", made)
    options = {"T": 20, "cells": "lstm,rnn", "seeds": 1, "steps": 4, "hidden": 4, "tune": True}
    found = glasscell.compare("classic", "adding", out=tmp_path / "c", progress=False, **options)
    tuned = json.loads((tmp_path / "c" / "tuned.json").read_text())["cells"]
    assert [cell.learning_rate for cell in found.cells] == [
        tuned[cell]["learning_rate"] for cell in ("lstm", "rnn")
    ]
    assert "Optuna chose learning rate for each cell" in str(found)
    made.orders.clear()
    glasscell.compare(
        "classic", "adding", out=tmp_path / "c", resume=True, progress=False,
        **{**options, "seeds": 2, "cells": "gru"},
    )  # fmt: skip
    assert [(type(o), o.cell) for o in made.orders] == [
        (TuneOrder, "gru"), (TrainOrder, "gru"),
        (TrainOrder, "lstm"), (TrainOrder, "rnn"), (TrainOrder, "gru"),
    ]  # fmt: skip


def test_without_optuna(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UserError, match=r"tuning needs Optuna: pip install 'glasscell\[compare\]'"):
        glasscell.compare("classic", "adding", tune=True, out=tmp_path / "c", steps=1)
    assert not (tmp_path / "c").exists()
