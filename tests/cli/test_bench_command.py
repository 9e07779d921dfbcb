"""`glasscell bench`, at sizes too small to say anything of speed."""

import json

import pytest
import torch
from tests.cli.test_bad_input import assert_one_sentence

from glasscell.bench import GROUPS, Scale, machine

pytestmark = pytest.mark.usefixtures("without_openvino")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    tiny = Scale(budget=0.0, rounds=1, T=6, few=True, divide=16)
    monkeypatch.setattr(Scale, "quick", lambda: tiny)
    monkeypatch.setattr(machine, "product_peak", lambda dtype, threads: 1e12)


def test_tables_and_figures(cli, tmp_path):
    result = cli("bench", "--quick", "--only", "training,single,streaming", "--budget", "0.01",
                 "--threads", "1", "--json", "figures.json")  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert "training: Training step, LSTM, float32, every gate kept, against nn.LSTM" in result.out
    assert "| B 1 H 8 T 6 " in result.out
    assert "Promised: geometric mean at least 1.30, no row under 1.05; aim 1.50." in result.out
    assert "geometric mean " in result.out

    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["machine"]["threads"] == 1
    assert figures["machine"]["versions"]["torch"] == torch.__version__
    assert figures["scale"]["budget"] == 0.01
    assert [work["group"] for work in figures["works"]] == ["training", "single", "streaming"]
    training = figures["works"][0]
    assert training["goal"] == {
        "measure": "ratio", "geometric_mean": 1.3, "each": 1.05, "aim": 1.5
    }  # fmt: skip
    assert training["verdict"]["met"] in (True, False)
    row = training["rows"][0]
    assert row["shape"] == {"B": 1, "H": 8, "T": 6, "N": 6}
    assert set(row["seconds"]) == {"glasscell", "torch.nn"}
    times = row["seconds"]["glasscell"]
    assert 0 < times["lower"] <= times["median"] <= times["upper"]
    theirs = row["seconds"]["torch.nn"]["median"]
    assert row["ratio"] == pytest.approx(theirs / times["median"])
    assert row["fraction_of_peak"] == pytest.approx(row["flops"] / times["median"] / 1e12)


def test_a_peer_that_is_not_installed_is_named(cli, monkeypatch):
    from glasscell.bench import runtimes

    monkeypatch.setattr(runtimes.Runtime, "is_installed", property(lambda self: False))
    result = cli("bench", "--quick", "--only", "single", "--budget", "0")
    assert result.code == 0
    assert "Not compared, as not installed: ONNX Runtime and OpenVINO" in result.out
    assert "pip install 'glasscell[bench]'" in result.out
    assert "(without ONNX Runtime and OpenVINO)" in result.out


def test_a_wrong_answer_is_told_and_ends_with_1(cli, monkeypatch):
    import glasscell

    original = glasscell.LSTM.forward

    def wrong(self, *args, **kwargs):
        output, last = original(self, *args, **kwargs)
        return output + 1e-3, last

    monkeypatch.setattr(glasscell.LSTM, "forward", wrong)
    result = cli("bench", "--quick", "--only", "inference", "--budget", "0")
    assert result.code == 1
    assert "OURS IS WRONG: output is off" in result.out
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--only", "training,rugged"], ["only: expected some of training,", "got 'rugged'"]),
        (["--only", ","], ["only: expected some of"]),
        (["--only", ""], ["only: expected some of"]),
        (["--budget", "-1"], ["budget: expected seconds from 0", "got -1"]),
        (["--budget", "nan"], ["budget"]),
        (["--budget", "long"], ["--budget"]),
        (["--threads", "0"], ["threads: expected 1 to", "got 0"]),
        (["--threads", "100000"], ["threads: expected 1 to", "got 100000"]),
        (["--json", "none/figures.json"], ["cannot write none/figures.json", "no folder none"]),
        (["--json", "."], ["it is a folder"]),
        (["--quickly"], ["--quickly"]),
        (["fast"], ["fast"]),
    ],
)
def test_options_that_cannot_be(cli, arguments, parts):
    assert_one_sentence(cli("bench", *arguments), *parts)


def test_help_names_every_group(cli):
    told = " ".join(cli("bench", "--help").out.replace("│", " ").split())
    assert f"Some of {', '.join(GROUPS)}." in told
