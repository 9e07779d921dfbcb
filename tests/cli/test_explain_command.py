"""`glasscell explain`: a step of a trained model, and the examples, in three formats."""

import re

import pytest
import torch

import glasscell
from glasscell.cells import VARIANTS
from glasscell.examples import EXAMPLES
from glasscell.explaining import card
from glasscell.training import load

LINE = "The is an object."


def shown(out: str, name: str) -> list[float]:
    """The numbers of a printed row."""
    row = re.search(rf"^    {re.escape(name)} = \[(.*)\]$", out, re.MULTILINE)
    assert row is not None, name
    numbers = row[1].replace("−", "-").split()
    return [float(n) for n in numbers if n != "⋯"]


def test_a_step_of_a_trained_model_is_the_traced_one(cli, trained):
    result = cli("explain", trained, "--text", LINE, "--step", "5", "--units", "3,5")
    assert result.code == 0
    model = load(trained)
    ids = model.vocabulary.encode(LINE).long()
    with torch.no_grad(), glasscell.trace(model.model) as trace:
        model.model(ids[:, None])
    layer = trace["rnn.l0"]
    for name, quantity in (("f_t", "forget_gate"), ("c_t", "cell"), ("h_t", "hidden")):
        expected = layer.sequence(quantity)[5, [3, 5]].tolist()
        assert shown(result.out, name) == pytest.approx(expected, rel=1e-3, abs=1e-6)
    before = layer.sequence("cell")[4, [3, 5]].tolist()
    assert shown(result.out, "c_(t−1)") == pytest.approx(before, rel=1e-3, abs=1e-6)
    text = " ".join(result.out.split())
    assert text.startswith("Step 5 of rnn.l0, an LSTM")
    assert "The character read at this step is “s”, after “The i”." in text
    assert "the embedding of the character “s”" in text
    assert "✗" not in text


def test_several_steps_and_layers_by_number(cli, trained):
    result = cli("explain", trained, "-t", LINE, "--step", "0,-1", "--layer", "0")
    assert result.code == 0
    assert result.out.startswith("2 steps of rnn.l0\n")
    assert "with nothing before it" in result.out
    assert f"Step {len(LINE) - 1} of rnn.l0, an LSTM" in result.out


@pytest.mark.parametrize("options", [["--cell", "gru", "--layers", "2"], ["--cell", "rnn"],
                                     ["--level", "byte"], ["--level", "word"]])  # fmt: skip
def test_every_cell_and_level(cli, book, options):
    small = ["--hidden", "8", "--batch", "4", "--chunk", "32", "--steps", "2"]
    assert cli("train", "text", book, "--out", "run", *small, *options).code == 0
    text = "été *$_`" if "byte" in options else LINE
    for form in ("text", "markdown", "html"):
        result = cli("explain", "run", "-t", text, "--format", form)
        assert result.code == 0, result.err
    if "--layers" in options:
        assert "what the layer below showed" in result.out
        assert "rnn.l1" in result.out


def test_formats_follow_the_files_name(cli, tmp_path):
    starts = {"a.html": "<!DOCTYPE html>", "a.md": "# The forget", "a.txt": "The forget layer"}
    for name, start in starts.items():
        result = cli("explain", "--example", "forget-layer", "--out", name)
        assert (result.code, result.out) == (0, f"The explanation is in {name}.\n")
        assert (tmp_path / name).read_text("utf-8").startswith(start)
    cli("explain", "--example", "forget-layer", "--out", "b.txt", "--format", "html")
    assert (tmp_path / "b.txt").read_text("utf-8") == (tmp_path / "a.html").read_text("utf-8")
    cli("explain", "--example", "forget-layer", "--out", "c.tex", "--format", "markdown")
    cli("explain", "--example", "forget-layer", "--out", "d")
    assert (tmp_path / "c.tex").read_text("utf-8") == (tmp_path / "a.md").read_text("utf-8")
    assert (tmp_path / "d").read_text("utf-8") == (tmp_path / "a.txt").read_text("utf-8")


def test_the_example_is_the_librarys(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "88")
    result = cli("explain", "--example", "forget-layer")
    assert result.out == glasscell.explain(example="forget-layer").text()
    assert {"92", "177", "136", "22", "43", "64"} <= set(result.out.split())


def test_narrow_terminals_get_narrow_sentences(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "64")
    result = cli("explain", "--example", "forget-layer")
    sentences = [line for line in result.out.splitlines() if line[:1].isalpha()]
    assert max(map(len, sentences)) <= 64


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "name a model folder, or an example with --example forget-layer"),
        (["RUN"], 'say what the model reads, with --text "..."'),
        (["RUN", "-t", ""], "the text is empty"),
        (["RUN", "-t", "a日b"], "the model has never seen: '日' (U+65E5)"),
        (["RUN", "-t", "is", "--step", "2"], "step: expected -2 to 1, got 2"),
        (["RUN", "-t", "is", "--step", "x"], "step: expected numbers such as 3 or 3,5, got 'x'"),
        (["RUN", "-t", "is", "--units", "99"], "units: expected -16 to 15, got 99"),
        (["RUN", "-t", "is", "--layer", "7"], "layer: expected one of rnn.l0, got '7'"),
        (["RUN", "-t", "is", "--out", "no/a.html"], "there is no folder no"),
        (["nowhere", "-t", "is"], "nowhere"),
        (["--example", "nothing"], f"example: expected one of {', '.join(EXAMPLES)}, got"),
        (["--example", "forget-layer", "--step", "1"], "--example needs no --step"),
        (["--cell", "jannet"], "there is no variant 'jannet'; did you mean janet"),
        (["--cell", "lstm(no=1)"], "there is no no"),
        (["--cell", "janet", "--cells"], "--cell needs no --cells: choose one"),
        (["RUN", "--cell", "janet"], "--cell needs no RUN: choose one"),
        (["--example", "forget-layer", "--format", "pdf"], "--format"),
        (
            ["--example", "forget-layer", "--out", "a.pdf"],
            "a.pdf has an ending that names no format; known are .txt, .md, .html, .htm, or say",
        ),
    ],
)
def test_mistakes_get_one_sentence(cli, trained, tmp_path, arguments, part):
    result = cli("explain", *(trained if a == "RUN" else a for a in arguments))
    assert result.code == 2
    assert part in " ".join(result.err.split())
    assert "Traceback" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_help_names_the_examples(cli):
    told = " ".join(cli("explain", "--help").out.replace("│", " ").split())
    assert "glasscell explain --example forget-layer" in told
    for name in EXAMPLES:
        assert name in told.replace("- ", "-")


@pytest.mark.parametrize("columns", [80, 120])
def test_the_card_of_a_cell(cli, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    result = cli("explain", "--cell", "slstm")
    assert result.code == 0
    assert result.out == card("slstm").text(min(columns, 100))
    assert "f_t′ = exp(log σ(f_t^pre) + m_(t−1) − m_t)" in result.out
    assert max(map(len, result.out.splitlines())) <= columns
    line = cli("explain", "--cell", "lstm(forget_gate=None)", "--format", "markdown")
    assert "c_t &= c_{t-1} + i_t \\odot g_t" in line.out


def test_all_cells_in_a_table(cli):
    out = cli("explain", "--cells").out
    for name in VARIANTS:
        assert re.search(rf"^{name} ", out, re.MULTILINE)
