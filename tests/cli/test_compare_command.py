"""`glasscell compare`: whole, in processes of its own; stopped; and asked for what cannot be."""

import json
import os
import re
import signal
import time

import pytest
from tests.cli.test_bad_input import assert_one_sentence
from tests.comparing.in_process import InProcess

from glasscell.comparing import request, run_comparison

SMALL = ["--cells", "lstm,no_forget_gate", "--seeds", "3", "--steps", "3", "--hidden", "4"]


def test_words_table_and_files(cli, tmp_path):
    result = cli("compare", "classic", "adding", "--T", "20", *SMALL, "--jobs", "2")
    assert result.code == 0, result.err
    out = tmp_path / "runs" / "compare-adding"
    assert {path.name for path in out.iterdir()} == {
        "plan.json", "runs", "comparison.json", "comparison.html"
    }  # fmt: skip
    assert "adding, T = 20: mean squared error, less is better" in result.out
    assert re.search(r"\| no_forget_gate +\| +0\.\d+ \|", result.out)
    assert "The forget gate: " in result.out
    assert "compare-adding/comparison.html: the same with figures" in result.out
    assert result.err.count("[") == 6  # a line for each training
    assert "[6/6]" in result.err

    again = cli("compare", "classic", "adding", "--T", "20", "--resume", "--json", "--quiet")
    assert (again.code, again.err) == (0, "")
    plain = json.loads(again.out)
    assert plain["findings"][0]["words"] in result.out
    assert len(plain["cells"][1]["runs"]) == 3
    assert plain == json.loads((out / "comparison.json").read_text())


@pytest.mark.slow
def test_stopped_by_ctrl_c_and_gone_on_with(process, tmp_path):
    command = ("compare", "classic", "adding", "--T", "20", "--cells", "lstm,rnn", "--seeds", "2",
               "--hidden", "4", "--steps", "1000", "--out", "c", "--jobs", "1")  # fmt: skip
    running = process(*command, cwd=tmp_path)
    for _ in range(600):
        if list((tmp_path / "c" / "runs").glob("*.json")):
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert re.search(
        r"stopped; \d of 4 trainings are done and stand in c; go on with: glasscell compare "
        r"classic adding --T 20 --out c --resume\n$",
        err,
    )
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "c" / "runs").glob("*.json")}
    assert done
    resumed = process(*command, "--resume", "--quiet", cwd=tmp_path)
    resumed.communicate(timeout=120)
    assert resumed.returncode == 0
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    assert len(list((tmp_path / "c" / "runs").glob("*.json"))) == 4


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["classic", "ading"], ["task: expected one of", "'ading' (do you mean adding", "reber"]),
        (["classic", "adding", "--cells", "lstm,peephol"], ["'peephol'", "peephole"]),
        (["classic", "adding", "--budget", "soon"], ["budget: expected a time such as 90s"]),
        (["classic", "adding", "--budget", "1m", "--steps", "3"], ["give one of the two"]),
        (["classic", "adding", "--seeds", "0"], ["seeds: expected 1 to"]),
        (["classic", "adding", "--T", "3"], ["T: expected at least 20"]),
        (["classic", "adding", "--resume"], ["no comparison in runs/compare-adding"]),
        (["text", "none.txt"], ["cannot use", "none.txt", "no such file"]),
        (["text", "book.txt", "--level", "chars"], ["level: expected one of char"]),
        (["series", "load.csv", "--target", "demnad"], ["no column 'demnad'", "demand"]),
        (["series", "load.csv", "--time", "demand"], ["not later than row"]),
        (["classics"], ["classics"]),
        (["classic", "adding", "--quickly"], ["--quickly"]),
    ],
)
def test_what_cannot_be(cli, tmp_path, book, arguments, parts):
    rows = [f"{k},{k % 7}" for k in range(150)]
    (tmp_path / "load.csv").write_text("\n".join(["hour,demand", *rows]) + "\n")
    before = sorted(os.listdir())
    assert_one_sentence(cli("compare", *arguments), *parts)
    assert sorted(os.listdir()) == before


def test_too_small_a_budget_says_what_is_needed(cli, monkeypatch):
    monkeypatch.setattr(run_comparison, "ProcessPool", InProcess())
    result = cli("compare", "classic", "adding", "--budget", "2s", "--quiet", "--cells", "rnn")
    assert_one_sentence(result, "budget: 2.0 s is too short for 2 cells from 5 seeds", "at least ")
    assert os.listdir() == []


@pytest.mark.parametrize("task", ["text", "series", "classic"])
def test_help_tells_the_defaults_and_has_an_example(cli, task):
    told = re.sub(r"[\s│]+", " ", cli("compare", task, "--help").out)
    assert f"[default: {','.join(request.CELLS)}]" in told.replace(", ", ",").replace("- ", "-")
    for default in (request.SEEDS, request.BUDGET, request.HIDDEN):
        assert f"[default: {default}]" in told
    assert f"glasscell compare {task}" in told
