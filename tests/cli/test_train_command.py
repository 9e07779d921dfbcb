"""`glasscell train text`: the whole way, resuming, interruption, and standard input."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
import torch
from safetensors.torch import load_file

SMALL = ["--hidden", "12", "--batch", "4", "--chunk", "32", "--embedding", "8"]


def test_train_evaluate_generate(cli, book, tmp_path):
    result = cli("train", "text", book, "--out", "run", "--epochs", "2", *SMALL)
    assert result.code == 0
    assert "bits per character on the validation text, at step 86 of 86" in result.out
    assert "glasscell generate run" in result.out
    lines = result.err.splitlines()
    assert lines[0].startswith("Training: 1 x LSTM of 12 units")
    assert all(
        part in lines[-1]
        for part in ("step 86/86", "epoch 2.0", "loss", "bits/char", "tokens/s", "0:00 left")
    )
    assert not any(word in result.err for word in ("GPU available", "warning", "Warning"))

    score = json.loads(cli("evaluate", "run", "--json").out)
    assert score["characters"] == 299
    assert f"{score['bits_per_character']:.3f} bits per character" in cli("evaluate", "run").out
    texts = [cli("generate", "run", "--prompt", "The", "-n", "40", "--seed", "1").out] * 2
    assert texts[0] == texts[1]
    assert texts[0].startswith("The")
    assert len(texts[0]) == 3 + 40 + 1


@pytest.mark.parametrize("columns", [60, 140])
def test_on_a_terminal_progress_is_one_live_line(cli, book, monkeypatch, columns):
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich takes this for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("glasscell.training.progress.LIVE_EVERY", 0.0)  # look at every step
    result = cli("train", "text", book, "--out", "run", "--epochs", "2", *SMALL)
    assert result.code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", result.err)
    frames = [line.strip() for line in re.split(r"[\r\n]", plain) if "tokens/s" in line]
    assert frames
    assert all(len(frame) <= columns and "━" in frame for frame in frames)
    assert all(part in frames[-1] for part in ("bits/char", "tokens/s", "left"))
    assert all((part in frames[-1]) == (columns == 140) for part in ("step", "(validation"))


def test_words_are_told_in_perplexity(cli, book):
    result = cli("train", "text", book, "--level", "word", "--epochs", "1", *SMALL)
    assert "perplexity" in result.err
    assert "perplexity" in result.out
    assert "perplexity" in cli("evaluate", "runs/book").out  # where it goes without --out


def test_several_files_and_standard_input(cli, book, tmp_path):
    (tmp_path / "b.txt").write_text(book.read_text()[:500])
    assert cli("train", "text", book, "b.txt", "-o", "two", "--steps", "2", "-q", *SMALL).code == 0
    assert json.loads((tmp_path / "two/config.json").read_text())["data"]["length"] == 6500
    raw = book.read_bytes()
    for arguments in (["-"], []):
        result = cli(
            "train", "text", *arguments, "--force", "--steps", "2", "-q", *SMALL, stdin=raw
        )
        assert (result.code, result.err) == (0, "")
        assert (tmp_path / "runs/text/model.safetensors").exists()


def test_options_reach_the_model(cli, book, tmp_path):
    result = cli(
        *("train", "text", book, "-o", "run", "--cell", "gru", "--layers", "2", "--dropout", "0.1"),
        *("--tied", "--steps", "3", "--lr", "0.01", "--warmup", "1", "--weight-decay", "0"),
        *("--clip", "0.5", "--seed", "4", "--precision", "bf16-mixed", "--patience", "2"),
        *("--validate-every", "2", "--accelerator", "cpu", "--devices", "1", *SMALL),
    )
    assert result.code == 0
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["model"]["cell"] == "gru"
    assert config["model"]["tied"] is True
    assert config["training"]["learning_rate"] == 0.01
    assert config["training"]["validate_every"] == 2


def test_ctrl_c_then_resume_is_the_uninterrupted_run(cli, process, book, tmp_path):
    """In a process of its own, with a real signal at whatever moment it comes."""
    options = ["--epochs", "400", "--dropout", "0.2", "--patience", "0", *SMALL]
    running = process("train", "text", book, "--out", "run", *options)
    while not (tmp_path / "run").exists():  # until the first validation is done
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "glasscell: stopped at step" in err
    assert "go on with: glasscell train text --out run --resume" in err
    assert "Traceback" not in err
    assert cli("generate", "run", "-n", "5").code == 0
    step = json.loads((tmp_path / "run/metrics.json").read_text())["step"]

    last = str(step + 300)
    assert cli("train", "text", "--out", "run", "--resume", "--steps", last).code == 0
    assert json.loads((tmp_path / "run/metrics.json").read_text())["step"] == step + 300


def test_resume_keeps_its_choices(cli, book):
    cli("train", "text", book, "--out", "run", "--epochs", "1", "-q", *SMALL)
    for arguments, message in [
        (["--out", "run", "--resume", "--hidden", "9", "--seed", "3"], "--hidden, --seed cannot"),
        (["--resume"], "say which run to resume with --out"),
        (["--out", "run", "--resume", "--force"], "choose one"),
        (["--out", "run", "--resume"], "has finished training after 43 steps"),
        (["--out", "other", "--resume"], "there is no model folder other"),
    ]:
        result = cli("train", "text", *arguments)
        assert result.code == 2
        assert message in result.err
        assert result.err.count("\n") == 1
    assert cli("train", "text", "--out", "run", "--resume", "--epochs", "2", "-q").code == 0


@pytest.mark.slow
def test_two_processes_train_what_one_does(process, book, tmp_path):
    """Data-parallel: streams shared out, gradients averaged; the same weights to rounding."""
    options = ["--epochs", "3", "--accelerator", "cpu", *SMALL]
    one = process("train", "text", book, "--out", "one", *options)
    two = process(
        "train", "text", book, "--out", "two", "--devices", "2", "--strategy", "ddp", *options
    )
    for running in (one, two):
        out, err = running.communicate(timeout=120)
        assert running.returncode == 0, err
    assert out.count("bits per character") == 1  # told once
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_two_processes_are_interrupted_and_resumed_bit_for_bit(process, book, tmp_path):
    options = ["--devices", "2", "--strategy", "ddp", "--accelerator", "cpu"]
    choices = ["--epochs", "30", "--dropout", "0.3", "--patience", "0", *SMALL]
    whole = process("train", "text", book, "--out", "whole", *options, *choices)
    assert whole.wait(timeout=120) == 0, whole.communicate()
    broken = process(
        "train", "text", book, "--out", "broken", *options, *choices, start_new_session=True
    )
    while not (tmp_path / "broken").exists():
        assert broken.poll() is None, broken.communicate()
        time.sleep(0.02)
    time.sleep(0.2)
    os.killpg(broken.pid, signal.SIGINT)
    _, err = broken.communicate(timeout=60)
    assert broken.returncode == 130, err
    assert err.count("stopped at step") == 1
    again = process("train", "text", "--out", "broken", "--resume", *options)
    assert again.wait(timeout=120) == 0, again.communicate()
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.slow
def test_a_full_disk_for_real(process, book, tmp_path):
    """On a file system of 128 KiB, where one can be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    try:
        if subprocess.run(mount, capture_output=True).returncode != 0:
            pytest.skip("needs the right to mount a file system")
    except FileNotFoundError:
        pytest.skip("needs mount")
    try:
        small = process("train", "text", book, "--out", place / "run", "--steps", "5", *SMALL)
        assert small.wait(timeout=60) == 0, small.communicate()
        before = (place / "run/model.safetensors").read_bytes()
        big = process(
            "train", "text", book, "--out", place / "run", "--force", "--steps", "5",
            "--hidden", "200",
        )  # fmt: skip
        _, err = big.communicate(timeout=60)
        assert big.returncode == 2, err
        assert "no space is left on the disk" in err
        assert "Traceback" not in err
        assert (place / "run/model.safetensors").read_bytes() == before
    finally:
        subprocess.run(["umount", str(place)], check=True)
