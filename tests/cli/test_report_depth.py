"""What a report measures besides the recorded run: bounded, and about the interesting place."""

import math

import pytest
import torch
from tests.plots.test_report_page import data_of

import glasscell
from glasscell import analysis
from glasscell.cli import reading_depth
from glasscell.cli.reading import Reading, write_report
from glasscell.cli.reading_depth import WINDOW, flow_of, kicks_of, window_around
from glasscell.tasks.language.model import LanguageModel, LanguageModelConfig


class Run:
    """As much of a model folder as a report asks of it."""

    class Letters:
        token_name = "character"

        def __len__(self) -> int:
            return 6

        def decode(self, ids) -> str:
            return "".join("abcde\n"[v] for v in ids)

    def __init__(self, cell: str, layers: int = 1) -> None:
        torch.manual_seed(0)
        self.model = LanguageModel(LanguageModelConfig(6, cell, 12, layers, 4)).eval()
        self.vocabulary = self.Letters()


def reading(T: int, cell: str = "lstm", layers: int = 1) -> Reading:
    run = Run(cell, layers)
    ids = torch.randint(6, (T,))
    with torch.no_grad(), glasscell.trace(run.model) as trace:
        logits, _ = run.model(ids[:, None])
    return Reading(run, trace, ids, logits[:, 0], T)  # type: ignore[arg-type]


def predicted(read: Reading) -> analysis.Predictions:
    return analysis.predictions(read.logits, read.ids)


def test_the_window_holds_the_greatest_surprise_with_its_past():
    surprise = [math.nan] + [1.0] * 499
    surprise[300] = 9.0
    start, end = window_around(surprise)
    assert end - start == WINDOW
    assert 300 - start == WINDOW * 3 // 4
    surprise[300], surprise[499] = 1.0, 9.0
    assert window_around(surprise) == (500 - WINDOW, 500)
    assert window_around(surprise[:50]) == (0, 50)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_gradients_are_those_of_the_whole_text(cell):
    """A window in the middle goes on from the state that the model comes to it with."""
    read = reading(300, cell, layers=2)
    flow = flow_of(read, predicted(read))
    assert isinstance(flow, analysis.SurpriseFlow)
    assert flow.steps == WINDOW
    assert flow.start > 0
    of_text = predicted(read).surprise[flow.start + 1 : flow.start + WINDOW]
    torch.testing.assert_close(flow.surprise[1:], of_text, rtol=1e-4, atol=1e-4)
    whole = analysis.surprise_flow(read.model.model, read.ids[: flow.start + 10])
    at, found = flow.start, flow.layers["rnn.l0"].state
    expected = whole.layers["rnn.l0"].state[at + 9, at : at + 9]
    torch.testing.assert_close(found[9, :9], expected, rtol=1e-3, atol=1e-9)


def test_a_model_that_is_large_has_a_shorter_window_and_fewer_kicks(monkeypatch):
    read = reading(300)
    monkeypatch.setattr(reading_depth, "LARGEST_FLOW", 4 * 4 * 144 * 40**2)
    flow = flow_of(read, predicted(read))
    assert isinstance(flow, analysis.SurpriseFlow)
    assert flow.steps == 32
    one = 128 * 4 * 144
    monkeypatch.setattr(reading_depth, "LARGEST_KICKS", one * 12 * 3)
    kicks = kicks_of(read)["rnn.l0"]
    assert (kicks.times, len(kicks.units)) == (3, 12)
    monkeypatch.setattr(reading_depth, "LARGEST_KICKS", one * 5)
    kicks = kicks_of(read)["rnn.l0"]
    assert (kicks.times, len(kicks.units)) == (1, 5)


@pytest.mark.parametrize("T", [1, 2, 3, 4, 20])
def test_the_shortest_texts_have_their_report(tmp_path, T):
    path = tmp_path / "report.html"
    write_report(path, reading(T, layers=2), title="Short")
    data = data_of(path.read_text("utf-8"))
    assert ("reason" in data["flow"]) == (T == 1)
    assert bool(data["kicks"]) == (T >= 4)
    assert len(data["ledgers"]) == 2
