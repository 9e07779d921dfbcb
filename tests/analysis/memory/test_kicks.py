import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.analysis.state_space.driven import linear_rnn, recorded
from tests.cells.zoo import SUBJECTS
from tests.tolerances import assert_close

import glasscell
from glasscell.analysis import kick_survival, memory_span, time_scales
from glasscell.cells import Weights
from glasscell.errors import InputError

T, B, I, H = 12, 3, 4, 5


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("size", [1e-3, -2.0])
def test_in_a_linear_network_a_kick_goes_as_the_powers_of_its_weights(size):
    U = 0.5 * noise(H, H)
    found = kick_survival(linear_rnn(U), noise(T, B, H), window=6, size=size)
    for n in range(7):
        power = torch.linalg.matrix_power(U, n)
        torch.testing.assert_close(found.own[n], power.diagonal().abs(), rtol=0, atol=1e-10)
        torch.testing.assert_close(found.whole[n], power.norm(dim=0), rtol=0, atol=1e-10)
    assert found.carousel is None
    assert found.window == 6


@pytest.mark.parametrize(("kind", "gate"), [("lstm", "forget_gate"), ("gru", "update_gate")])
def test_without_recurrent_weights_the_gates_alone_decide(layer_with, kind, gate):
    """Then what is measured is the carousel's product, and its time the memory span."""
    f = torch.tensor([0.5, 0.9, 0.97], dtype=torch.float64).expand(60, 3)
    layer = layer_with(kind, **{gate: f})
    G = len(layer.gate_maps)
    w = Weights(torch.zeros(3 * G, 1), torch.zeros(3 * G, 3))
    found = kick_survival(w, layer, window=40)
    assert found.carousel is not None
    torch.testing.assert_close(found.own, f[0] ** torch.arange(41)[:, None])
    torch.testing.assert_close(found.carousel, found.own)
    torch.testing.assert_close(found.steps(), memory_span(layer), rtol=1e-6, atol=0)
    assert found.steps(0.2).tolist()[2] == math.inf  # 0.97^40 = 0.296
    scales = time_scales(layer, found)
    assert scales.units.tolist() == [2, 1, 0]
    torch.testing.assert_close(scales.measured, scales.gates, rtol=1e-6, atol=0)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", ["lstm", "lstm-projected", "lstm-peepholes", "gru", "rnn-tanh"])
def test_kicked_copies_are_those_of_an_explicit_loop(name, reverse):
    """A large kick, each unit and each time by itself, over sequences of several lengths."""
    subject, lengths, window = SUBJECTS[name], [12, 9, 5], 5
    w, x = subject.weights(I, H), noise(T, B, I)
    layer = recorded(subject, w, x, lengths, reverse)
    sizes = noise(H) + 2
    found = kick_survival(w, layer, window=window, size=sizes, times=100, units=[3, 0])
    own, whole = torch.zeros(window + 1, 2).double(), torch.zeros(window + 1, 2).double()
    times = 0
    for b, n in enumerate(lengths):
        order = list(range(n))[::-1] if reverse else list(range(n))
        for k in range(n - window):
            times += 1
            for column, unit in enumerate((3, 0)):
                changes = explicit(
                    subject.cell, w, layer, x, b, order[k : k + window + 1], unit, sizes[unit]
                )
                memory = changes[:, -H:] if subject.cell.has_cell_state else changes
                own[:, column] += memory[:, unit].abs()
                whole[:, column] += changes.norm(dim=-1)
    assert found.times == times
    assert found.units.tolist() == [3, 0]
    assert_close(found.own, own / times, dtype=torch.float64)
    assert_close(found.whole, whole / times, dtype=torch.float64)


def explicit(cell, w, layer, x, b, steps, unit, size):
    """(K + 1, S) the change, as a part of the kick, at the kick and after each step since."""
    first, *later = steps
    h = layer.sequence("hidden", b)[None, first]
    c = layer.sequence("cell", b)[None, first] if cell.has_cell_state else None
    kicked_h, kicked_c = h.clone(), None if c is None else c.clone()
    (kicked_h if kicked_c is None else kicked_c)[0, unit] += size

    def change():
        pairs = ((h, kicked_h), (c, kicked_c))
        return torch.cat([(b - a)[0] for a, b in pairs if a is not None]).detach() / size

    changes = [change()]
    for t in later:
        plain = cell.step(x[None, t, b], h, c, w)
        kicked = cell.step(x[None, t, b], kicked_h, kicked_c, w)
        h, c, kicked_h, kicked_c = plain.h, plain.c, kicked.h, kicked.c
        changes.append(change())
    return torch.stack(changes)


def test_a_small_kick_gives_the_derivative_that_autograd_gives():
    lstm = torch.nn.LSTM(I, H, dtype=torch.float64)
    x = noise(T, 1, I)
    window = T - 1
    found = kick_survival(lstm, x, window=window, size=1e-6)
    assert found.times == 1
    _, (h, c) = lstm(x[:1])
    for unit in range(H):
        for n in (1, 4, window):

            def later(c, n=n):
                return lstm(x[1 : n + 1], (h, c))[1][1]

            J: Any = torch.autograd.functional.jacobian(later, c)
            J = J[0, 0, :, 0, 0]  # (H, H)
            assert float(found.own[n, unit]) == pytest.approx(abs(float(J[unit, unit])), rel=1e-4)


def test_torch_layers_and_chunks_of_units_agree(monkeypatch):
    ours = glasscell.LSTM(I, H, 2, bidirectional=True, dtype=torch.float64)
    theirs = torch.nn.LSTM(I, H, 2, bidirectional=True, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    x = noise(T, B, I)
    whole = kick_survival(ours, x, layer="l1_reverse", window=4)
    monkeypatch.setattr("glasscell.analysis.memory.kicks.MOST_NUMBERS", 1)
    parts = kick_survival(theirs, x, layer="l1_reverse", window=4)
    torch.testing.assert_close(parts.own, whole.own, rtol=0, atol=1e-9)
    torch.testing.assert_close(parts.whole, whole.whole, rtol=0, atol=1e-9)
    torch.testing.assert_close(parts.carousel, whole.carousel)


def test_steps_until_a_level_lie_between_the_steps_around_it():
    found = kick_survival(linear_rnn(torch.tensor([[0.8]]).double()), noise(30, 1, 1), window=20)
    assert float(found.steps()) == pytest.approx(-1 / math.log(0.8))
    assert float(found.steps(0.5)) == pytest.approx(math.log(0.5) / math.log(0.8))
    assert float(found.steps(0.5, of="whole")) == pytest.approx(math.log(0.5) / math.log(0.8))
    gone = kick_survival(linear_rnn(torch.zeros(1, 1).double()), noise(5, 1, 1), window=2)
    assert float(gone.steps()) == 0.0  # nothing is left after one step
    with pytest.raises(InputError, match="level: expected between 0 and 1, got 1"):
        found.steps(1)
    with pytest.raises(InputError, match="of: expected one of 'own', 'whole', got 'carousel'"):
        found.steps(of="carousel")


def test_time_scales_are_sorted_and_an_rnn_needs_kicks():
    rnn, x = glasscell.RNN(I, H), torch.randn(T, B, I)
    with torch.no_grad(), glasscell.trace(rnn) as trace:
        rnn(x)
    with pytest.raises(InputError, match="writes its whole state anew"):
        time_scales(trace["l0"])
    kicks = kick_survival(rnn, trace["l0"])
    found = time_scales(trace["l0"], kicks)
    assert found.gates is None
    assert found.measured is not None
    assert found.measured.tolist() == sorted(kicks.steps().tolist(), reverse=True)
    torch.testing.assert_close(kicks.steps()[found.units], found.measured)
    torch.testing.assert_close(kicks.steps(of="whole")[found.units], found.whole)
    gru = glasscell.GRU(I, 2)
    with torch.no_grad(), glasscell.trace(gru) as trace:
        gru(x)
    only_gates = time_scales(trace["l0"])
    spans = memory_span(trace["l0"], "geometric")
    torch.testing.assert_close(only_gates.gates, spans.sort(descending=True)[0])
    assert only_gates.measured is None
    with pytest.raises(InputError, match="l0, which has 2 units, got those of a layer of 5"):
        time_scales(trace["l0"], kicks)
    with pytest.raises(InputError, match="l0, which has 2 units, got those of a layer of 1"):
        time_scales(trace["l0"], kick_survival(glasscell.GRU(I, 1), x))
    unknown = replace(kicks, hidden_size=None)
    with pytest.raises(InputError, match="kicks: expected units 0 to 1, got 4"):
        time_scales(trace["l0"], unknown)


def test_units_that_outlast_the_window_are_sorted_by_what_is_left():
    U = torch.tensor([0.99, 0.3, 0.999]).double().diag()
    rnn, x = linear_rnn(U), noise(T, 1, 3)
    with torch.no_grad(), glasscell.trace(rnn) as trace:
        rnn(x)
    found = time_scales(trace["l0"], kick_survival(rnn, trace["l0"], window=5))
    assert found.units.tolist() == [2, 0, 1]
    assert found.measured is not None
    assert found.measured.tolist()[:2] == [math.inf, math.inf]


def test_what_cannot_be_kicked_is_refused():
    lstm, x = glasscell.LSTM(I, H), torch.randn(T, B, I)
    for window in (0, T):
        with pytest.raises(InputError, match=f"window: expected 1 to 11, .* got {window}"):
            kick_survival(lstm, x, window=window)
    with pytest.raises(InputError, match=r"units: expected some of 0 to 4, got \[5\]"):
        kick_survival(lstm, x, units=[1, 5])
    with pytest.raises(InputError, match=r"units: .* got none"):
        kick_survival(lstm, x, units=[])
    for size in (0.0, math.nan):
        with pytest.raises(InputError, match="size: expected a number that is not 0"):
            kick_survival(lstm, x, size=size)
    with pytest.raises(InputError, match="size: "):
        kick_survival(lstm, x, size=torch.ones(3))
    with pytest.raises(InputError, match="times: expected at least 1"):
        kick_survival(lstm, x, times=0)
    with pytest.raises(InputError, match=r"times: expected a whole number, at least 1, got 2\.5"):
        kick_survival(lstm, x, times=2.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="units: expected some of 0 to 4, got '01'"):
        kick_survival(lstm, x, units="01")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="run: expected a sequence of at least 2 steps, got 1"):
        kick_survival(lstm, x[:1])


def test_if_nothing_is_asked_for_the_work_is_bounded(monkeypatch):
    lstm, x = glasscell.LSTM(I, H), torch.randn(120, B, I)
    one = (H + 1) * 4 * H * H  # multiplications for a step of all copies, at one time

    def extent(work, **asked):
        monkeypatch.setattr("glasscell.analysis.memory.kicks.WORK", one * work)
        found = kick_survival(lstm, x, **asked)
        return found.window, found.times

    assert extent(10**6) == (60, 16)  # half of the sequence
    assert extent(200) == (50, 4)
    assert extent(130) == (32, 4)
    assert extent(70) == (32, 2)
    assert extent(1) == (32, 1)
    assert extent(1, window=40, times=3) == (40, 3)  # what is asked for is done
    assert extent(400, window=100) == (100, 4)
    assert extent(400, times=8) == (50, 8)
    assert extent(400, units=[2]) == (60, 16)  # fewer units leave more work for each
    monkeypatch.undo()
    assert kick_survival(lstm, torch.randn(2500, 1, I), units=[0], times=1).window == 1000
