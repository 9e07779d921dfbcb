"""`glasscell demo`, on a few steps of training."""

import re
from pathlib import Path

import pytest

from glasscell import load
from glasscell.tasks.language import NGram, default_corpus, split_by_position


@pytest.fixture
def demo(cli):
    return lambda *more: cli("demo", "--out", "there", "--steps", "3", *more)


def test_it_trains_compares_writes_and_shows(demo):
    result = demo()
    assert result.code == 0
    run = load("there")
    assert run.metrics["step"] == 3
    told = dict(re.findall(r"^ +(this model|order \d).*? ([\d.]+) bits per", result.out, re.M))
    split = split_by_position(default_corpus())
    train, test = (run.vocabulary.encode(part) for part in (split.train, split.test))
    for order in (0, 3):
        expected = NGram(order, len(run.vocabulary)).fit(train).bits_per_token(test)
        assert told[f"order {order}"] == f"{expected:.3f}"
    assert told["this model"] == f"{run.evaluate().bits_per_character:.3f}"
    assert result.out.count(" characters\n") >= 5  # the units with the longest memory
    page = Path("there/report.html")
    assert str(page.resolve()) in result.out
    assert "Inside a minute-old LSTM" in page.read_text("utf-8")


def test_a_model_that_is_there_is_replaced_only_when_told_to(demo):
    assert demo().code == 0
    before = Path("there/model.safetensors").read_bytes()
    result = demo("--seed", "1")
    assert result.code == 2
    assert "already holds a model" in result.err
    assert Path("there/model.safetensors").read_bytes() == before
    assert demo("--seed", "1", "--force").code == 0
    assert Path("there/model.safetensors").read_bytes() != before


def test_it_says_when_time_ran_out(demo):
    result = demo("--steps", "100000", "--minutes", "0.02")
    assert result.code == 0
    assert "--minutes gives it more time" in result.out
