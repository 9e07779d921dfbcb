"""The report's accounts, kicks and gradients: the numbers in the page are the analyses'."""

import base64
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.plots.test_report_page import data_of
from torch import nn

import glasscell
from glasscell import analysis
from glasscell.plots import language_report
from glasscell.plots.report import ledger_part

LETTERS = list("abc\n")
IDS = [0, 1, 2, 3, 0, 0, 2, 1, 3, 2, 1, 0]


def numbers(stored: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(stored), "<f4").astype(np.float64)


def account(stored: dict, unit: int, t: int) -> tuple[dict[int, float], float]:
    """What each step has put into a unit's state after step t, and the rest: as the page does."""
    place, T = stored["units"].index(unit), stored["steps"]
    keep = numbers(stored["keep"]).reshape(-1, T)[place]
    write = numbers(stored["write"]).reshape(-1, T)[place]
    steps = range(t, T) if stored["reverse"] else range(t, -1, -1)
    found, kept = {}, 1.0
    for k in steps:
        found[k] = write[k] * kept
        kept *= keep[k]
    return found, float(numbers(stored["initial"])[place] * kept)


@pytest.mark.parametrize("kind", [glasscell.LSTM, glasscell.GRU, nn.LSTM])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_account_of_every_state_is_the_ledgers(read, kind, bidirectional):
    seen = read(LETTERS, IDS, kind, bidirectional=bidirectional)
    data = data_of(language_report(*seen))
    for stored, page_layer in zip(data["ledgers"], data["layers"], strict=True):
        layer = seen.trace[page_layer["name"]]
        assert stored["all"]
        for t in (0, 5, len(IDS) - 1):
            expected = analysis.ledger(layer, t)
            for unit in range(6):
                found, rest = account(stored, unit, t)
                assert list(found) == sorted(expected.steps.tolist(), reverse=not layer.reverse)
                for step, put in zip(
                    expected.steps.tolist(), expected.contributions[:, unit].tolist(), strict=True
                ):
                    assert found[step] == pytest.approx(put, rel=1e-5, abs=1e-9)
                assert rest == pytest.approx(float(expected.rest[unit]), abs=1e-9)
                state = layer.sequence(stored["state"])[t, unit]
                assert sum(found.values()) + rest == pytest.approx(float(state), abs=1e-6)


def test_an_rnn_has_no_account(read):
    data = data_of(language_report(*read(LETTERS, IDS, glasscell.RNN, num_layers=2)))
    assert data["ledgers"] == [None, None]


def test_too_large_an_account_is_about_the_units_that_swing_most(read, monkeypatch):
    seen = read(LETTERS, IDS, hidden=12)
    monkeypatch.setattr(ledger_part, "MOST_NUMBERS", 2 * 9 * len(IDS))
    (stored,) = data_of(language_report(*seen))["ledgers"]
    most = analysis.swings(seen.trace["l0"]).argsort(descending=True)[:9]
    assert stored["units"] == sorted(most.tolist())
    assert (stored["all"], stored["steps"]) == (False, len(IDS))
    unit = stored["units"][2]
    expected = analysis.ledger(seen.trace["l0"], 7).contributions[:, unit]
    found, _ = account(stored, unit, 7)
    np.testing.assert_allclose([found[k] for k in range(8)], expected, rtol=1e-5)


def test_and_then_about_the_first_steps_in_both_directions(read, monkeypatch):
    seen = read(LETTERS, IDS, bidirectional=True)
    monkeypatch.setattr(ledger_part, "MOST_NUMBERS", 2 * 2 * 6 * 5)  # two layers, 6 units, 5 steps
    ledgers = data_of(language_report(*seen))["ledgers"]
    for stored, name in zip(ledgers, ("l0", "l0_reverse"), strict=True):
        assert (stored["steps"], len(stored["units"])) == (5, 6)
        found, rest = account(stored, 3, 2)
        state = seen.trace[name].cell[2, 0, 3]
        assert sum(found.values()) + rest == pytest.approx(float(state), abs=1e-6)


@pytest.mark.parametrize("kind", [glasscell.LSTM, glasscell.RNN])
def test_kicks_are_carried_curve_by_curve(read, kind):
    seen = read(LETTERS, IDS, kind)
    torch.manual_seed(0)
    kicks = analysis.kick_survival(kind(4, 6), seen.trace["l0"], units=[4, 1], window=5)
    stored = data_of(language_report(*seen, kicks={"l0": kicks}))["kicks"]["l0"]
    assert (stored["units"], stored["window"], stored["times"]) == ([4, 1], 5, kicks.times)
    np.testing.assert_allclose(numbers(stored["own"]).reshape(2, 6).T, kicks.own, rtol=1e-6)
    np.testing.assert_allclose(numbers(stored["whole"]).reshape(2, 6).T, kicks.whole, rtol=1e-6)
    assert ("carousel" in stored) == (kind is glasscell.LSTM)
    spans = [math.inf if span is None else span for span in stored["spans"]]
    assert spans == pytest.approx(kicks.steps().tolist())


def flow_of(seen, kind) -> analysis.SurpriseFlow:
    torch.manual_seed(0)
    layer, head = kind(4, 6), nn.Linear(6, 4)
    model = nn.ModuleList([layer, head])

    def reads(tokens):
        return head(layer(3 * F.one_hot(tokens, 4).float())[0])

    flow = analysis.surprise_flow(model, seen.ids[2:10], reads, start=2)
    return analysis.SurpriseFlow(flow.start, flow.surprise, {"l0": flow.layers["0.l0"]})


@pytest.mark.parametrize("kind", [glasscell.LSTM, glasscell.GRU, glasscell.RNN])
def test_gradients_are_carried_as_rows_of_a_triangle(read, kind):
    seen = read(LETTERS, IDS, kind)
    flow = flow_of(seen, kind)
    stored = data_of(language_report(*seen, flow=flow))["flow"]
    assert (stored["start"], stored["steps"]) == (2, 8)
    assert stored["first"] == int(flow.surprise.nan_to_num(-1).argmax())
    norms = stored["layers"]["l0"]
    ways = {"lstm": {"cell", "carried", "through_gates"}, "gru": {"carried", "through_gates"}}
    layer = flow.layers["l0"]
    assert set(norms) == {"hidden"} | ways.get(layer.kind, set())
    for way, triangle in norms.items():
        values, n = numbers(triangle), 0
        for s in range(1, 8):
            np.testing.assert_allclose(values[n : n + s], getattr(layer, way)[s, :s], rtol=1e-6)
            n += s
        assert n == len(values)


def test_why_there_are_no_gradients_is_said(read):
    seen = read(LETTERS, IDS)
    assert data_of(language_report(*seen))["flow"] is None
    evil = "</script> too large"
    assert data_of(language_report(*seen, flow=evil))["flow"] == {"reason": evil}
    flow = flow_of(seen, glasscell.LSTM)
    late = analysis.SurpriseFlow(8, flow.surprise, flow.layers)
    assert "beyond the steps" in data_of(language_report(*seen, flow=late))["flow"]["reason"]
