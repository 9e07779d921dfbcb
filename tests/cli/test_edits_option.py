"""`--edits`: evaluate and generate run under the edits of a file."""

import json

import pytest

import glasscell
from glasscell.training import load


def written(path, *edits):
    glasscell.save_edits(edits, path)
    return path


def test_evaluate_under_edits_is_the_model_under_edits(cli, trained, tmp_path):
    edits = glasscell.Edit("rnn.l0", "hidden", units=[0, 1, 2], set=0.0)
    path = written(tmp_path / "edits.json", edits)
    plain = json.loads(cli("evaluate", trained, "--json").out)
    found = json.loads(cli("evaluate", trained, "--edits", path, "--json").out)
    run = load(trained)
    with glasscell.edit(run.model, edits):
        expected = run.evaluate().as_dict()
    assert found == expected
    assert found["bits_per_character"] != plain["bits_per_character"]
    assert json.loads(cli("evaluate", trained, "--json").out) == plain


def test_generate_under_edits(cli, trained, tmp_path):
    """A model whose every hidden state is set to 0 writes by the output's bias alone."""
    path = written(tmp_path / "edits.json", glasscell.Edit("*", "hidden", set=0.0))
    options = ("--length", 30, "--temperature", 0, "--edits", path)
    found = cli("generate", trained, "--prompt", "The ", *options).out
    run = load(trained)
    bias = run.model.state_dict()["output.bias"]
    likeliest = run.vocabulary.decode([int(bias.argmax())])
    assert found == "The " + 30 * likeliest + "\n"


def test_inspect_under_edits(cli, trained, tmp_path):
    path = written(tmp_path / "edits.json", glasscell.Edit("rnn.l0", "forget_gate", set=0.5))
    report = tmp_path / "page.html"
    options = ("--text", "The end.", "--edits", path, "--report", report, "--json")
    steps = json.loads(cli("inspect", trained, *options).out)
    gates = [unit["value"] for step in steps["steps"] for unit in step["open"]["forget_gate"]]
    assert set(gates) == {0.5}
    assert "in runs without edits only" in report.read_text("utf-8")


@pytest.mark.parametrize("command", ["evaluate", "generate", "inspect"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no such file"),
        ("{}", "not a list of edits"),
        ([glasscell.Edit("rnn.l9", "cell", set=0.0)], "layer: expected one of"),
        ([glasscell.Edit("rnn.l0", "update_gate", set=0.0)], "quantity: expected one of"),
    ],
)
def test_a_file_that_is_no_use(command, content, sentence, cli, trained, tmp_path):
    path = tmp_path / "edits.json"
    if isinstance(content, str):
        path.write_text(content)
    elif content:
        written(path, *content)
    result = cli(command, trained, "--edits", path)
    assert result.code == 2
    assert sentence in result.err
    assert str(path) in result.err
    assert len(result.err.splitlines()) == 1
    assert result.out == ""
