"""`glasscell inspect`: what goes on inside a model, in the terminal and as a page."""

import json
import math

import pytest
import torch

import glasscell
from glasscell.training import load

LINE = "The is an object."


def test_the_table_has_a_row_for_each_character(cli, trained):
    result = cli("inspect", trained, "--text", LINE)
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines() if line.strip()[:1].isdigit()]
    steps = [row[0] for row in rows if row[0].isdigit() and int(row[0]) < len(LINE)]
    assert steps[: len(LINE)] == [str(t) for t in range(len(LINE))]
    assert [row[1] for row in rows[: len(LINE)]] == [c.replace(" ", "␣") for c in LINE]
    assert "bits per character on this text" in result.out
    assert "Longest memory: units" in result.out


def test_json_says_what_the_trace_holds(cli, trained):
    found = json.loads(cli("inspect", trained, "-t", LINE, "--json", "--top", "2").out)
    model = load(trained)
    ids = model.vocabulary.encode(LINE).long()
    with torch.no_grad(), glasscell.trace(model.model) as trace:
        logits, _ = model.model(ids[:, None])
    layer, log_p = trace["rnn.l0"], logits[:, 0].log_softmax(-1)
    assert (found["layer"], found["cell"], found["units"]) == ("rnn.l0", "lstm", 16)
    assert [step["token"] for step in found["steps"]] == list(LINE)
    for t, step in enumerate(found["steps"]):
        f = layer.sequence("forget_gate")[t]
        opened, second = step["open"]["forget_gate"]
        assert opened["value"] == pytest.approx(f.max().item())
        assert f[opened["unit"]].item() >= f[second["unit"]].item()
        assert step["shut"]["forget_gate"][0]["value"] == pytest.approx(f.min().item())
        assert len(step["moved"]) == 3
        best = step["next"][0]
        assert best["probability"] == pytest.approx(log_p[t].exp().max().item(), rel=1e-4)
        if t == 0:
            assert step["surprise_bits"] is None
        else:
            bits = -log_p[t - 1, ids[t]].item() / math.log(2)
            assert step["surprise_bits"] == pytest.approx(bits, rel=1e-4)
    mean = sum(step["surprise_bits"] for step in found["steps"][1:]) / (len(LINE) - 1)
    assert found["bits_per_character"] == pytest.approx(mean)


def test_a_long_text_is_cut_and_says_so(cli, trained):
    result = cli("inspect", trained, "--rows", "3", "--limit", "50")
    assert "The first 3 of 50 steps; see more with --rows N (0 for all)." in result.out
    assert "Only the first 50 of" in result.out
    assert len(json.loads(cli("inspect", trained, "--json").out)["steps"]) > 100


def test_a_file_and_standard_input_are_read(cli, trained, tmp_path):
    (tmp_path / "line.txt").write_text(LINE)
    from_file = cli("inspect", trained, "--file", "line.txt")
    assert from_file.code == 0
    assert cli("inspect", trained, "--file", "-", stdin=LINE.encode()).out == from_file.out


def test_the_report_is_written_whole_and_replaces_an_old_one(cli, trained, tmp_path):
    (tmp_path / "out.html").write_text("old")
    result = cli("inspect", trained, "-t", LINE, "--report", "out.html")
    assert result.code == 0
    assert "The report is in out.html" in result.out
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    assert "<title>Inside run</title>" in page
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_layers_go_by_name_or_number(cli, trained):
    for name in ("rnn.l0", "l0", "0"):
        assert json.loads(cli("inspect", trained, "--json", "--layer", name).out)["steps"]
    result = cli("inspect", trained, "--layer", "7")
    assert (result.code, result.err) == (2, "glasscell: layer: expected one of rnn.l0, got '7'\n")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--text", "a日b"], "character that the model has never seen: '日' (U+65E5)"),
        (["--text", ""], "the text is empty"),
        (["--text", "a", "--file", "b"], "give --text or --file, not both"),
        (["--file", "none.txt"], "cannot use none.txt: no such file"),
        (["--text", "a", "--report", "none/out.html"], "cannot write none/out.html"),
        (["--top", "0"], "--top"),
    ],
)
def test_mistakes_get_one_sentence(cli, trained, arguments, part):
    result = cli("inspect", trained, *arguments)
    assert result.code == 2
    assert part in result.err
    assert result.err.startswith("glasscell: ")
    assert "Traceback" not in result.err


@pytest.mark.parametrize("options", [["--cell", "gru"], ["--cell", "rnn"], ["--level", "byte"]])
def test_every_cell_and_level_can_be_looked_into(cli, book, options):
    small = ["--hidden", "8", "--batch", "4", "--chunk", "32", "--steps", "2"]
    assert cli("train", "text", book, "--out", "run", *small, *options).code == 0
    result = cli("inspect", "run", "-t", "été" if "byte" in options else LINE, "-r", "out.html")
    assert result.code == 0
    shown = json.loads(cli("inspect", "run", "-t", "an", "--json").out)
    assert bool(shown["memory"]) == ("rnn" not in options)


@pytest.mark.parametrize(
    ("cell", "told", "memory"),
    [
        ("coupled+zoneout=0.1", "rnn.l0, coupled, 8 units", "steps)"),
        ("no_forget_gate", "rnn.l0, no_forget_gate, 8 units", "(never forgets)"),
        ("mut1", "rnn.l0, mut1, 8 units", "steps)"),
        ("slstm", "rnn.l0, SLSTM, 8 units", "steps)"),
        ("relu_rnn", "rnn.l0, relu_rnn, 8 units", ""),
    ],
)
def test_variants_write_and_are_looked_into(cli, book, cell, told, memory):
    small = ["--hidden", "8", "--batch", "4", "--chunk", "32", "--steps", "2"]
    assert cli("train", "text", book, "--out", "run", "--cell", cell, *small).code == 0
    result = cli("inspect", "run", "-t", LINE, "-r", "out.html")
    assert result.code == 0
    assert told in result.out
    assert ("Longest memory" in result.out) == bool(memory)
    assert memory in result.out
    assert cli("generate", "run", "--length", "20").code == 0
    assert cli("evaluate", "run", book).code == 0


@pytest.mark.parametrize("command", [("inspect", "-t", "a"), ("generate",), ("explain", "-t", "a")])
def test_a_model_that_reads_no_text_is_told_of(cli, command):
    small = ("--steps", "2", "--hidden", "4", "--out", "run")
    assert cli("train", "classic", "reber", *small).code == 0
    name, *options = command
    result = cli(name, "run", *options)
    assert result.code == 2
    assert "holds a model for the task 'classic', which reads no text" in result.err


def test_a_stacked_word_model_is_looked_into(cli, book):
    small = ["--hidden", "8", "--batch", "4", "--chunk", "32", "--steps", "2", "--layers", "2"]
    assert cli("train", "text", book, "--out", "run", "--level", "word", *small).code == 0
    found = json.loads(cli("inspect", "run", "-t", LINE, "--json").out)
    assert found["layer"] == "rnn.l1"
    assert "".join(step["token"] for step in found["steps"]) == LINE
