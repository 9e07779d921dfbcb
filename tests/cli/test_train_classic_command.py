"""`glasscell train classic`: the whole way, resuming, interruption, and what is told."""

import dataclasses
import json
import re
import signal
import time

import pytest

from glasscell.cli.train_classic import NAMES
from glasscell.tasks.classic import TASKS
from glasscell.training.classic_choices import MODEL, STEPS
from glasscell.training.generated import GeneratedRecipe

SMALL = ["--hidden", "6", "--batch", "4"]


def plain(text):
    return re.sub(r"[\s│]+", " ", text)


def test_train_evaluate(cli):
    result = cli("train", "classic", "anbn", "--T", "9", "--steps", "120", "--out", "run", *SMALL)
    assert result.code == 0
    lines = result.err.splitlines()
    assert lines[0].startswith("Training: anbn (T = 9, shortest = 1), 1 x lstm+forget_bias=1 of 6 ")
    for part in ("step 120/120", "loss ", "(chance 0.0%, optimum 100.0%)", "steps/s", "0:00 left"):
        assert part in lines[-1]
    assert re.match(
        r"run: [\d.]+% sequences right \(chance 0.0%, optimum 100.0%\), at step 1[02]0 of 120, in ",
        result.out,
    )
    assert "Of these:      steps " in result.out
    assert "glasscell evaluate run --T 18" in result.out

    told = cli("evaluate", "run", "--sequences", "50", "--T", "13")
    assert "% sequences right (chance 0.0%, optimum 100.0%) on 50 new sequences of anbn" in told.out
    assert "right at every n up to" in told.out
    score = json.loads(cli("evaluate", "run", "--json").out)
    assert score["sequences"] == 1000
    assert score["chance"] == 0
    assert score["reach"] >= 0
    other = json.loads(cli("evaluate", "run", "--json", "--seed", "3").out)
    assert other["details"] != score["details"]


def test_a_score_that_is_no_share_is_told_as_a_number(cli):
    result = cli("train", "classic", "adding", "--T", "20", "--steps", "3", "-q", *SMALL)
    assert (result.code, result.err) == (0, "")
    assert re.match(
        r"runs/adding: 0\.\d{4} mean squared error \(chance 0\.0373, optimum 0\)", result.out
    )


def test_options_reach_the_run(cli, tmp_path):
    result = cli(
        *("train", "classic", "copy", "--T", "5", "--cell", "gru", "--layers", "2", "--steps", "3"),
        *("--lr", "0.01", "--clip", "0.5", "--seed", "4", "--target", "0.9", "--chrono", "9"),
        *("--minutes", "1", "-o", "run", "-q", *SMALL),
    )
    assert result.code == 0
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["model"] == {
        "cell": "gru", "hidden": 6, "layers": 2, "forget_bias": None, "chrono": 9.0
    }  # fmt: skip
    chosen = {"learning_rate": 0.01, "clip": 0.5, "seed": 4, "target": 0.9, "minutes": 1.0}
    assert config["training"] | chosen | {"steps": 3, "batch": 4} == config["training"]
    assert config["classic"]["T"] == 5


def test_edits_change_the_score(cli):
    cli("train", "classic", "turnstile", "--T", "8", "--steps", "300", "-q", "-o", "run", *SMALL)
    without = [{"layer": "rnn.l0", "quantity": "hidden", "set": 0.0}]
    from pathlib import Path

    import glasscell

    glasscell.save_edits([glasscell.Edit(**each) for each in without], Path("off.json"))
    whole, off = (
        json.loads(cli("evaluate", "run", "--json", *more).out)["score"]
        for more in ((), ("--edits", "off.json"))
    )
    assert off < whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rebr"], "got 'rebr' (do you mean reber?)"),
        ([], "name a task: reber, copy"),
        (["reber", "--cell", "lstmm"], "did you mean lstm"),
        (["reber", "--T", "3"], "T: expected at least 8 steps, got 3"),
        (["reber", "--steps", "0"], "steps: expected at least 1, got 0"),
        (["reber", "--hidden", "many"], "--hidden"),
        (["--resume"], "say which run to resume with --out"),
        (["--resume", "--out", "other"], "there is no model folder other"),
        (["--resume", "--out", "x", "--force"], "choose one"),
        (["reber", "--resume", "--out", "x", "--cell", "gru", "--lr", "1"],
         "so reber, --cell, --learning-rate cannot be given"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_and_code_2(cli, tmp_path, arguments, message):
    result = cli("train", "classic", *arguments)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_options_of_text_are_not_for_a_classic_task_nor_the_other_way_round(cli, trained, book):
    cli("train", "classic", "reber", "--steps", "2", "-q", "-o", "run", *SMALL)
    for arguments, message in [
        (["run", book], "which has no FILE"),
        (["run", "--streams", "2", "--skip-unknown"], "no --skip-unknown and no --streams"),
        (["run", "--T", "7"], "T: expected at least 8"),
        ([trained, "--T", "9"], "the task 'language', which has no --T"),
    ]:
        result = cli("evaluate", *arguments)
        assert result.code == 2
        assert message in result.err
        assert result.err.count("\n") == 1


def test_ctrl_c_then_resume_in_a_process_of_its_own(cli, process, tmp_path):
    running = process("train", "classic", "turnstile", "--out", "run", "--steps", "1000000", *SMALL)
    while not (tmp_path / "run").exists():  # until the first measurement is done
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "glasscell: stopped at step" in err
    assert "go on with: glasscell train classic --out run --resume" in err
    assert "Traceback" not in err
    step = json.loads((tmp_path / "run/metrics.json").read_text())["step"]
    last = str(step + 30)
    result = cli("train", "classic", "--out", "run", "--resume", "--steps", last)
    assert result.code == 0
    assert f"Resuming at step {step:,}" in result.err
    assert json.loads((tmp_path / "run/metrics.json").read_text())["step"] == step + 30
    done = cli("train", "classic", "--out", "run", "--resume")
    assert done.code == 2
    assert "has finished training after" in done.err


@pytest.mark.parametrize("columns", [60, 160])
def test_on_a_terminal_progress_is_one_live_line(cli, monkeypatch, columns):
    from glasscell.training import classic_progress

    class Terminal:
        def __init__(self):
            self.text = ""

        def isatty(self):
            return True

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    terminal = Terminal()
    monkeypatch.setattr(classic_progress.sys, "stderr", terminal)
    monkeypatch.setattr(classic_progress, "LIVE_EVERY", 0.0)
    monkeypatch.setenv("COLUMNS", str(columns))
    from glasscell.training import train_classic

    train_classic("turnstile", steps=30, every=10, hidden=4, batch=2, measured_on=5)
    first, *frames = terminal.text.split("\r\x1b[2K")
    assert first.startswith("Training: turnstile")
    assert len(frames) == 31
    assert frames[-1] == ""  # the line is wiped
    assert all(len(frame) < columns and ("━" in frame or "─" in frame) for frame in frames[:-1])
    assert "30.0% " not in terminal.text
    assert ("steps/s" in frames[25]) == ("step 26/30" in frames[25]) == (columns == 160)
    assert "chance" in frames[25]


def test_a_lost_standard_error_ends_no_run(monkeypatch):
    import sys

    from glasscell.training import train_classic

    class Lost:
        def isatty(self):
            return False

        def write(self, text):
            raise BrokenPipeError

        flush = isatty

    for stream in (Lost(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        run = train_classic("turnstile", steps=2, hidden=4, batch=2, measured_on=5)
        assert run.metrics["step"] == 2


def test_help_has_examples_names_every_task_and_tells_the_defaults(cli):
    result = cli("train", "classic", "--help")
    assert result.code == 0
    told = plain(result.out)
    assert "glasscell train classic reber" in told
    assert NAMES.split(", ") == list(TASKS)
    assert NAMES in told
    defaults = {}
    for option in re.split(r" (?=--[a-zA-Z-]+\S* (?:-\S+ |--\S+ )?<)", told):
        if found := re.match(r"--([a-zA-Z-]+).*?\[default: ([^\],]*)", option):
            defaults[found[1].replace("-", "_")] = found[2]
    for name in ("cell", "hidden", "layers"):
        assert defaults[name] == str(MODEL[name])
    assert defaults["steps"] == str(STEPS)
    fields = {each.name: each.default for each in dataclasses.fields(GeneratedRecipe)}
    for name in ("batch", "learning_rate", "clip", "seed"):
        assert defaults[name] == str(fields[name])
    longest = sorted({task().T for task in TASKS.values()})
    assert longest == [20, 21, 31, 40, 100]  # "100, 40 or less"
