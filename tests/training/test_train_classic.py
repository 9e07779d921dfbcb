"""Training on classic tasks: the model folder, using it, going on with it, and bad input."""

import json
import math
import os
import signal
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import glasscell
from glasscell import cells
from glasscell.errors import UserError
from glasscell.tasks.classic import TASKS, SequenceModel
from glasscell.training import ClassicRun, load, load_text, resume_text
from glasscell.training.classic import resume_classic, train_classic
from glasscell.training.classic_folder import ClassicFolder
from glasscell.training.generated_loop import GeneratedLoop
from glasscell.training.model_folder import FolderError
from glasscell.training.signals import Interrupted

SMALL = {"hidden": 6, "batch": 4, "steps": 60, "every": 20, "measured_on": 40, "progress": False}


@pytest.fixture
def train(tmp_path):
    def run(name="turnstile", **options) -> ClassicRun:
        return train_classic(name, **{"out": tmp_path / "run", **SMALL, **options})

    return run


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_trained_written_read_and_scored(train, tmp_path, name):
    run = train(name, steps=4, T=20 if name != "turnstile" else 10)
    assert {f.name for f in (tmp_path / "run").iterdir()} == {
        "config.json", "model.safetensors", "metrics.json", "last.ckpt"
    }  # fmt: skip
    again = load(tmp_path / "run")
    assert isinstance(again, ClassicRun)
    assert again.task == run.task
    assert again.metrics["chance"] == run.task.chance
    assert not again.model.training
    batch = run.task.batch(5, torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = (m.model(batch.inputs, lengths=batch.lengths) for m in (run, again))
    assert torch.equal(one, other)
    score = again.evaluate(sequences=20)
    assert score.sequences == 20
    assert math.isfinite(score.score)
    assert (score.reach is not None) == name.startswith("anbn")
    json.dumps(score.as_dict())


def test_it_learns_and_keeps_the_best(train, tmp_path):
    run = train("turnstile", steps=600, batch=16, measured_on=200, T=8)
    history = run.metrics["history"]
    assert [each["step"] for each in history] == list(range(20, 601, 20))
    best = max(each["score"] for each in history)
    assert run.metrics["score"] == best > 0.9 > run.metrics["chance"]
    at_best = [each for each in history if each["score"] == best]
    assert run.metrics["best_step"] == min(at_best, key=lambda each: each["loss"])["step"]
    # that very model: scored on the sequences that were held
    held = run.task.batch(200, torch.Generator().manual_seed(~0 % 2**32))
    with torch.no_grad():
        outputs = run.model(held.inputs, lengths=held.lengths)
    assert run.task.score(outputs, held) == best
    assert run.task.details(outputs, held) == run.metrics["details"]
    assert run.evaluate().score > 0.88


def test_a_lower_goal_keeps_the_lowest(train):
    run = train("adding", T=20)
    assert run.metrics["score"] == min(each["score"] for each in run.metrics["history"])


def test_evaluating_is_seeded_can_be_longer_and_counts_every_sequence_alike(train):
    run = train("dyck2")
    a, b, c = (run.evaluate(seed=s, sequences=700) for s in (1, 1, 2))
    assert a == b
    assert a.details != c.details
    assert run.evaluate(T=12).task.T == 12
    # 700 are scored in two parts; the mean is over all
    generator = torch.Generator().manual_seed(1 + 2**31)
    parts = [run.task.batch(size, generator) for size in (500, 200)]
    shares = []
    for part in parts:
        with torch.no_grad():
            outputs = run.model(part.inputs, lengths=part.lengths)
        shares.append(run.task.details(outputs, part)["closing brackets"])
    assert a.details["closing brackets"] == pytest.approx((500 * shares[0] + 200 * shares[1]) / 700)
    for wrong, says in (({"T": 2}, "T: expected at least 3"), ({"sequences": 0}, "sequences:")):
        with pytest.raises(UserError, match=says):
            run.evaluate(**wrong)


def test_choices_reach_the_model_the_task_and_the_config(train, tmp_path):
    run = train("parity", cell="peephole", layers=2, bits=2, delay=1, T=12, clip=0.5, seed=7)
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["task"] == "classic"
    assert config["classic"] == {"name": "parity", "T": 12, "bits": 2, "delay": 1}
    assert config["model"] == {
        "cell": "peephole", "hidden": 6, "layers": 2, "forget_bias": 1.0, "chrono": None
    }  # fmt: skip
    assert config["training"]["clip"] == 0.5
    assert config["training"]["minutes"] is None
    assert run.model.rnn.num_layers == 2
    assert asdict(run.task) == {"T": 12, "bits": 2, "delay": 1}


@pytest.mark.parametrize(
    ("options", "forget_bias"),
    [
        ({"cell": "gru"}, None),
        ({"cell": "no_forget_gate"}, None),
        ({"cell": "janet"}, 1.0),
        ({"forget_bias": -2.0}, -2.0),
        ({"chrono": 30.0}, None),
    ],
)
def test_forget_gates_begin_with_one_unless_told_otherwise(train, options, forget_bias):
    run = train(steps=1, learning_rate=1e-12, **options)
    assert run.config["model"]["forget_bias"] == forget_bias
    if options.get("cell", "lstm") == "lstm":
        b = run.model.rnn.bias_ih_l0 + run.model.rnn.bias_hh_l0
        forget = b[6:12]
        if forget_bias is None:  # chrono: log U(1, 29)
            assert 0 < forget.min().item() < forget.max().item() < math.log(29)
        else:
            assert torch.allclose(forget, torch.tensor(forget_bias))


def test_a_cell_of_ones_own_configuration_is_written_as_a_line(train, tmp_path):
    cell = cells.named("lstm(output_gate=None)")
    run = train(cell=cell, steps=2)
    assert run.model.rnn.cell == cell
    assert "output_gate=None" in run.config["model"]["cell"]
    assert load(tmp_path / "run").model.rnn.cell == cell


def test_the_same_seed_the_same_run_and_the_callers_numbers_stay(train, tmp_path):
    torch.manual_seed(0)
    expected = torch.rand(3)
    for seed, out in ((3, "a"), (3, "b"), (4, "c")):
        torch.manual_seed(0)
        train(seed=seed, out=tmp_path / out)
        assert torch.equal(torch.rand(3), expected)
    a, b, c = (weights(tmp_path / out) for out in "abc")
    assert same(a, b)
    assert not same(a, c)
    histories = [json.loads((tmp_path / out / "metrics.json").read_text()) for out in "ab"]
    one, two = ([(h["step"], h["loss"], h["score"]) for h in m["history"]] for m in histories)
    assert one == two


def test_without_a_folder_nothing_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = glasscell.train_classic("anbn", **SMALL)
    assert run.path is None
    assert run.evaluate(sequences=10).sequences == 10
    assert list(tmp_path.iterdir()) == []


def test_time_and_a_target_end_it(train, tmp_path):
    run = train(steps=None, minutes=0.002)
    assert run.metrics["step"] >= 1
    assert 0.12 <= run.metrics["seconds"] < 20
    run = train(target=0.01, out=tmp_path / "other")
    assert run.metrics["step"] == 20


# Interruption and going on


def stop_at(monkeypatch, step: int, number: int = signal.SIGINT) -> None:
    """A signal comes in the middle of a step."""
    update = GeneratedLoop.update

    def interrupted(loop: GeneratedLoop) -> None:
        if loop.step == step - 1:
            os.kill(os.getpid(), number)
        update(loop)

    monkeypatch.setattr(GeneratedLoop, "update", interrupted)


@pytest.mark.parametrize(
    ("at", "number"), [(7, signal.SIGINT), (20, signal.SIGTERM), (45, signal.SIGINT)]
)
def test_interrupted_and_gone_on_with_it_is_the_uninterrupted_run(
    train, tmp_path, monkeypatch, at, number
):
    whole = train(out=tmp_path / "whole", cell="peephole")
    with monkeypatch.context() as patch:
        stop_at(patch, at, number)
        with pytest.raises(Interrupted, match=f"stopped at step {at}; .*run holds the") as stopped:
            train(cell="peephole")
    assert stopped.value.signal == number
    assert stopped.value.resumable
    assert load(tmp_path / "run").metrics["step"] == at  # usable as it is
    run = resume_classic(tmp_path / "run", progress=False)
    assert same(weights(tmp_path / "run"), weights(tmp_path / "whole"))
    for key in ("score", "details", "best_step", "step"):
        assert run.metrics[key] == whole.metrics[key]
    kept = [
        [(h["step"], h["loss"], h["score"]) for h in r.metrics["history"]] for r in (run, whole)
    ]
    assert kept[0] == kept[1]
    last = [torch.load(tmp_path / name / "last.ckpt") for name in ("run", "whole")]
    assert same(last[0]["model"], last[1]["model"])


def test_a_second_signal_is_not_waited_with(train, tmp_path, monkeypatch):
    def twice(loop: GeneratedLoop) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(GeneratedLoop, "update", twice)
    with pytest.raises(Interrupted, match="stopped at once; nothing was written") as stopped:
        train()
    assert not stopped.value.resumable
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is before


def test_a_longer_run_is_the_run_that_was_longer_from_the_start(train, tmp_path):
    train(steps=40)
    train(steps=60, out=tmp_path / "long")
    with pytest.raises(UserError, match="has finished training after 40 steps"):
        resume_classic(tmp_path / "run", progress=False)
    run = resume_classic(tmp_path / "run", steps=60, progress=False)
    assert run.metrics["step"] == 60
    assert run.config["training"]["steps"] == 60
    assert same(weights(tmp_path / "run"), weights(tmp_path / "long"))
    with pytest.raises(UserError, match="steps: expected at least 1, got 0"):
        resume_classic(tmp_path / "run", steps=0, progress=False)


def test_training_that_falls_apart_leaves_the_best(train, tmp_path, monkeypatch):
    loss = type(TASKS["turnstile"]()).loss
    asked = []

    def sick(task, outputs, batch):
        asked.append(1)
        return loss(task, outputs, batch) * (float("nan") if len(asked) == 50 else 1.0)

    monkeypatch.setattr(type(TASKS["turnstile"]()), "loss", sick)
    with pytest.raises(UserError, match=r"fell apart within 60 updates .*best model so far"):
        train()
    run = load(tmp_path / "run")
    assert run.metrics["best_step"] in (20, 40)
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "run").values())
    asked.clear()
    asked.extend([1] * 45)
    with pytest.raises(UserError, match="learning_rate: training fell apart within 20 updates"):
        train(out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


# Folders


def test_a_folder_is_replaced_only_if_asked_and_only_by_a_whole_model(train, tmp_path, monkeypatch):
    train(seed=1)
    before = weights(tmp_path / "run")
    with pytest.raises(FolderError, match=r"already holds a model; .*resume_classic"):
        train()
    with monkeypatch.context() as patch:
        patch.setattr(ClassicFolder, "measured", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(force=True, seed=2)
    assert same(weights(tmp_path / "run"), before)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    train(force=True, seed=2)
    assert not same(weights(tmp_path / "run"), before)


def test_of_another_task(train, tmp_path):
    train()
    with pytest.raises(FolderError, match="'classic', which reads no text"):
        load_text(tmp_path / "run")
    with pytest.raises(FolderError, match="'classic', not for text"):
        resume_text(tmp_path / "run")
    config = json.loads((tmp_path / "run/config.json").read_text())
    (tmp_path / "run/config.json").write_text(json.dumps({**config, "task": "language"}))
    with pytest.raises(FolderError, match="'language', no classic one"):
        resume_classic(tmp_path / "run")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("classic", None),
        ("classic", {"name": "rebr"}),
        ("classic", {"name": "turnstile", "T": "long"}),
        ("classic", {"name": "turnstile", "width": 3}),
        ("classic", {"T": 4}),
        ("model", {"cell": "lstmm", "hidden": 6}),
        ("model", {"cell": "lstm", "hidden": 0}),
        ("model", {"cell": "lstm", "hidden": 7}),
        ("model", {"cell": "lstm", "hidden": "six"}),
        ("model", {"size": 3}),
        ("model", None),
    ],
)
def test_a_damaged_description_is_told(train, tmp_path, part, value):
    train()
    config = json.loads((tmp_path / "run/config.json").read_text())
    (tmp_path / "run/config.json").write_text(json.dumps({**config, part: value}))
    with pytest.raises(FolderError, match=r"is damaged|does not belong"):
        load(tmp_path / "run")


@pytest.mark.parametrize("training", [None, {}, {"steps": 3}, {"steps": "x"}])
def test_a_damaged_recipe_is_told_by_resuming(train, tmp_path, training):
    train()
    config = json.loads((tmp_path / "run/config.json").read_text())
    whole = None if training is None else {**config["training"], **training, "lr": 3}
    (tmp_path / "run/config.json").write_text(json.dumps({**config, "training": whole}))
    with pytest.raises(FolderError, match=r"config\.json is damaged"):
        resume_classic(tmp_path / "run")


def test_nothing_is_unpickled_to_use_it(train, tmp_path):
    train()
    (tmp_path / "run/last.ckpt").write_bytes(b"not read")
    assert load(tmp_path / "run").evaluate(sequences=3).sequences == 3
    with pytest.raises(FolderError, match=r"last\.ckpt is damaged"):
        resume_classic(tmp_path / "run", steps=100)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("rebr", {}, r"task: expected one of reber, .*, got 'rebr' \(do you mean reber\?\)"),
        ("temporal-ordr", {}, r"do you mean temporal_order\?"),
        ("xyz", {}, r"got 'xyz'$"),
        ("reber", {"T": 5}, "T: expected at least 8 steps, got 5"),
        ("reber", {"T": 8.5}, "T: expected a whole number, got 8.5"),
        ("dyck2", {"T": 10**7}, "T: expected at most 1,000,000, got 10000000"),
        ("reber", {"hidden": 10**20}, "hidden: expected at most 2147483647, got 1"),
        ("reber", {"hidden": 10**7}, "not enough memory for a model of this size"),
        ("reber", {"bits": 2}, "bits: reber has no such choice, only T"),
        ("reber", {"cell": "lstmm"}, "cell: .*'lstmm'.* lstm"),
        ("reber", {"hidden": 0}, "hidden: expected at least 1, got 0"),
        ("reber", {"layers": -1}, "layers: expected at least 1, got -1"),
        ("reber", {"steps": 0}, "steps: expected at least 1, got 0"),
        ("reber", {"steps": 10**13}, r"steps: expected at most 1e\+12"),
        ("reber", {"minutes": 0.0}, "minutes: expected more than 0"),
        ("reber", {"batch": 0}, "batch: expected at least 1, got 0"),
        ("reber", {"learning_rate": -0.1}, "learning_rate: expected more than 0, got -0.1"),
        ("reber", {"clip": -1.0}, "clip: expected 0 or more, got -1.0"),
        ("reber", {"seed": -1}, "seed: expected from 0 to 2147483647, got -1"),
        ("reber", {"cell": "rnn", "forget_bias": 1.0}, "forget_bias: "),
        ("reber", {"chrono": 1.0}, "chrono: expected more than 2 steps, got 1"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_writes_nothing(train, tmp_path, name, options, says):
    with pytest.raises(UserError, match=says) as error:
        train(name, **options)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_trace_of_a_loaded_model_names_its_layers(train):
    run = train("reber", layers=2, cell="mut1")
    batch = run.task.batch(3, torch.Generator().manual_seed(0))
    assert isinstance(run.model, SequenceModel)
    with torch.no_grad(), glasscell.trace(run.model) as trace:
        run.model(batch.inputs, lengths=batch.lengths)
    assert list(trace) == ["rnn.l0", "rnn.l1"]
