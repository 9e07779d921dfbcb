"""Training from Python: it learns, keeps the best, stops, and lands in a whole folder."""

import errno
import io
import json
import math
import sys
import time

import pytest
import torch
from small_run import PER_EPOCH, SMALL, TEXT

from glasscell.errors import UserError
from glasscell.tasks.language import NGram, default_corpus, evaluate, split_by_position
from glasscell.training import load, train_text
from glasscell.training.language_module import LanguageModule


def test_it_learns_more_than_letter_frequencies():
    text = default_corpus()[:60_000]
    run = train_text(
        text=text, hidden=64, batch=8, chunk=32, epochs=2, learning_rate=1e-2, progress=False
    )
    unigram = NGram(0, len(run.vocabulary)).fit(run.vocabulary.encode(text[:54_000]))
    frequencies = unigram.bits_per_token(run.vocabulary.encode(run.test_text))
    assert run.evaluate().bits_per_character < frequencies - 1.0
    assert run.path is None


def test_the_folder_reads_back_as_the_model(train, tmp_path):
    run = train()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "config.json",
        "last.ckpt",
        "metrics.json",
        "model.safetensors",
        "test.txt",
        "vocab.json",
    ]
    again = load(tmp_path / "run")
    tokens = again.vocabulary.encode(TEXT[:50]).view(-1, 1)
    assert torch.equal(run.model(tokens)[0], again.model(tokens)[0])
    assert again.test_text == TEXT[-300:]
    assert not again.model.training
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["task"] == "language"
    assert config["model"]["hidden"] == 16
    assert config["data"]["length"] == 6000


def test_the_best_model_is_kept_not_the_last(train):
    # A short text is soon learned by heart.
    text = TEXT[:3000]
    run = train(
        text=text, hidden=64, layers=1, dropout=0.0, epochs=25, learning_rate=0.02, patience=0
    )
    history = run.metrics["history"]
    losses = [entry["nats_per_token"] for entry in history]
    best = losses.index(min(losses))
    assert best < len(losses) - 1, "the case is not the one to test"
    assert run.metrics["best_step"] == history[best]["step"]
    validation = text[-300:-150]
    score = evaluate(run.model, run.vocabulary, validation)
    assert score.nats / score.tokens == pytest.approx(losses[best], rel=1e-4)


def test_early_stopping(train):
    run = train(
        text=TEXT[:3000],
        hidden=64,
        layers=1,
        dropout=0.0,
        epochs=60,
        learning_rate=0.02,
        patience=2,
    )
    losses = [entry["nats_per_token"] for entry in run.metrics["history"]]
    assert len(losses) < 40
    assert min(losses[-2:]) >= min(losses[:-2])
    assert run.metrics["history"][-3]["step"] == run.metrics["best_step"]


def test_the_step_is_adamw_on_the_cross_entropy(train, monkeypatch):
    """Three steps, done again by hand with torch alone."""
    models = []
    original = LanguageModule.on_fit_start

    def copying(module):
        models.append({k: v.clone() for k, v in module.model.state_dict().items()})
        original(module)

    monkeypatch.setattr(LanguageModule, "on_fit_start", copying)
    run = train(steps=3, epochs=None, dropout=0.0, warmup=0, layers=1)

    from glasscell.tasks.language.chunks import Streams

    model = torch.nn.LSTM(8, 16)
    E, W, b = (models[0][f"{n}"] for n in ("embedding.weight", "output.weight", "output.bias"))
    model.load_state_dict({k[4:]: v for k, v in models[0].items() if k.startswith("rnn.")})
    weights = [E.requires_grad_(), W.requires_grad_(), b.requires_grad_(), *model.parameters()]
    optimizer = torch.optim.AdamW(weights, betas=(0.9, 0.95), weight_decay=0.01)
    streams = Streams(run.vocabulary.encode(TEXT[:5400]), streams=4, chunk=32)
    state, rate = None, run.config["training"]["learning_rate"]
    for k in range(3):
        inputs, targets = streams[k]
        h, state = model(E[inputs], state)
        state = tuple(s.detach() for s in state)
        loss = torch.nn.functional.cross_entropy((h @ W.t() + b).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * k / 3)))
        optimizer.step()
    for name, ours in run.model.state_dict().items():
        theirs = {"embedding.weight": E, "output.weight": W, "output.bias": b}.get(name)
        if theirs is None:
            theirs = model.get_parameter(name.removeprefix("rnn."))
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-4, atol=1e-5)


def test_a_seed_gives_the_same_model_and_leaves_the_generator_alone(train, tmp_path):
    before = torch.get_rng_state()
    runs = [train(out=tmp_path / str(i), epochs=1, seed=seed) for i, seed in enumerate((1, 1, 2))]
    assert torch.equal(before, torch.get_rng_state())
    a, b, c = (run.model.rnn.weight_hh_l0 for run in runs)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_minutes_end_the_run(train):
    began = time.monotonic()
    run = train(epochs=None, minutes=1 / 60, validate_every=20, patience=0)
    assert 0.8 < run.metrics["seconds"] < 3
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("level", ["byte", "word"])
@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_every_level_and_cell(train, level, cell):
    run = train(level=level, cell=cell, epochs=1, tied=True, embedding=None)
    assert run.config["model"]["embedding"] == (256 if level == "word" else 64)
    score = run.evaluate()
    assert math.isfinite(score.bits_per_character)
    assert (score.words is not None) == (level == "word")
    validation = evaluate(run.model, run.vocabulary, split_by_position(TEXT).validation)
    told = run.metrics["validation"]
    assert told["bits_per_character"] == pytest.approx(validation.bits_per_character, rel=0.02)
    assert told["perplexity"] == pytest.approx(validation.perplexity, rel=0.06)
    assert isinstance(run.generate("The ", 20, seed=0), str)
    if level == "byte":
        assert run.test_text == TEXT.encode()[-300:]


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_precisions(train, precision):
    run = train(precision=precision, epochs=1)
    assert run.model.rnn.weight_hh_l0.dtype == torch.float32
    assert math.isfinite(run.evaluate().nats)


def test_short_texts_still_train(train):
    run = train(text=TEXT[:100], epochs=2, batch=32, chunk=64)
    assert run.metrics["step"] == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs: expected more than 0"),
        (
            {"learning_rate": float("nan")},
            "learning_rate: expected more than 0, at most 1000, got nan",
        ),
        ({"batch": 0}, "batch: expected at least 1"),
        ({"patience": -1}, "patience: expected 0 or more"),
        ({"seed": -1}, "seed: expected a whole number"),
        ({"hidden": 0}, "hidden: expected at least 1"),
        ({"level": "letters"}, "level: expected one of char, byte, word, got 'letters'"),
        ({"precision": "17"}, "Lightning cannot run this: Precision '17' is invalid"),
        ({"devices": 0}, "Lightning cannot run this"),
        ({"text": ""}, "too short"),
        ({"text": "x"}, "too short .* 1 character,"),
        ({"text": "a\n" * 80, "files": "also.txt"}, "either files or text"),
    ],
)
def test_wrong_options_leave_nothing_behind(train, tmp_path, wrong, message):
    with pytest.raises(UserError, match=message):
        train(**wrong)
    assert list(tmp_path.iterdir()) == []


def test_misspelt_options_are_not_swallowed(train):
    with pytest.raises(TypeError, match="hiden"):
        train(hiden=3)


def test_nothing_to_train_on(tmp_path):
    with pytest.raises(UserError, match="name a file"):
        train_text(out=tmp_path / "run")
    with pytest.raises(FileNotFoundError):
        train_text(tmp_path / "none.txt", out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_epochs_may_be_fractions_and_validations_every_few_steps(train):
    run = train(epochs=1.5, validate_every=25)
    assert [entry["step"] for entry in run.metrics["history"]] == [25, 50, 65]
    assert run.metrics["epoch"] == pytest.approx(1.5, abs=0.02)
    assert PER_EPOCH == 43
    assert SMALL["batch"] == 4


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.parametrize("stream", [Broken(), None])
def test_progress_that_cannot_be_shown_stops_nothing(train, monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    assert train(epochs=1, progress=True).path


def test_too_much_to_ask(train, monkeypatch):
    with pytest.raises(UserError, match="not enough memory for a model of this size"):
        train(hidden=99_999_999)
    with pytest.raises(UserError, match="hidden: expected at most"):
        train(hidden=10**30)
    with pytest.raises(UserError, match="epochs: expected more than 0, at most"):
        train(epochs=1e308)
    monkeypatch.setenv("LOCAL_RANK", "x")
    with pytest.raises(UserError, match="LOCAL_RANK, in the environment: expected a whole number"):
        train()
