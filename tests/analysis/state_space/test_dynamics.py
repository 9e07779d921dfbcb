"""Fixed points and their stability."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from tests.analysis.state_space.driven import linear_rnn, recorded
from tests.cells.zoo import SUBJECTS

import glasscell
from glasscell.analysis import (
    dynamics,
    fixed_points,
    kick_survival,
    lyapunov_exponents,
)
from glasscell.errors import InputError

I, H = 3, 4


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def root(f: Any, low: float, high: float) -> float:
    """Where f is 0, by scipy, whose types say too little."""
    found: Any = brentq(f, low, high)
    return float(found)


def with_weights(module, **values):
    """A module of one unit and one input, in float64: all weights 0 but those named."""
    module = module.double()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            own = torch.tensor(values.get(name.removesuffix("_l0"), 0.0), dtype=torch.float64)
            weight.copy_(own.expand(len(weight)).reshape(weight.shape))
    return module


def test_a_linear_network_has_one_where_the_formula_says():
    """h = U h + W x + b: h = (I - U)^-1 (W x + b), with the eigenvalues of U."""
    U, W, b, x = 0.3 * noise(H, H), noise(H, I), noise(H), noise(I)
    found = fixed_points(linear_rnn(U, W, b), x, n=20)
    assert len(found) == 1
    expected = torch.linalg.solve(torch.eye(H).double() - U, W @ x + b)
    torch.testing.assert_close(found.states[0], expected, rtol=0, atol=1e-12)
    assert found.starts.tolist() == [20]
    assert found.fixed.all()
    ours = np.sort_complex(found.eigenvalues[0].numpy())
    np.testing.assert_allclose(ours, np.sort_complex(np.linalg.eigvals(U.numpy())), atol=1e-12)
    assert bool((found.eigenvalues[0].abs().diff() <= 0).all())


def test_turning_and_fading_are_read_off_the_eigenvalues():
    angle, size = 2 * math.pi / 9, 0.8
    c, s = math.cos(angle), math.sin(angle)
    turn = size * torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    found = fixed_points(linear_rnn(turn), n=5)
    torch.testing.assert_close(found.periods[0], torch.full((2,), 9.0).double())
    torch.testing.assert_close(
        found.time_constants[0], torch.full((2,), -1 / math.log(0.8)).double()
    )
    assert found.stability == ("stable",)


@pytest.mark.parametrize(
    ("diagonal", "stability", "unstable", "neutral"),
    [
        ([0.5, -0.9], "stable", 0, 0),
        ([1.5, 0.2], "saddle", 1, 0),
        ([1.5, -1.1], "unstable", 2, 0),
        ([1.0, 0.5], "marginal", 0, 1),
    ],
)
def test_stability(diagonal, stability, unstable, neutral):
    U = torch.tensor(diagonal, dtype=torch.float64).diag()
    found = fixed_points(linear_rnn(U), starts=torch.zeros(1, 2))
    assert found.stability == (stability,)
    assert found.unstable.tolist() == [unstable]
    assert found.neutral.tolist() == [neutral]


def test_one_strong_unit_has_three():
    """h = tanh(w h): 0, unstable, and the two that scipy finds, stable."""
    rnn = with_weights(glasscell.RNN(1, 1), weight_hh=[2.0])
    found = fixed_points(rnn)
    h = root(lambda h: h - math.tanh(2 * h), 0.1, 2)
    assert sorted(found.states.flatten().tolist()) == pytest.approx([-h, 0, h], abs=1e-12)
    at_zero = int(found.states.flatten().abs().argmin())
    assert found.stability[at_zero] == "unstable"
    assert sorted(found.stability) == ["stable", "stable", "unstable"]
    assert float(found.eigenvalues[at_zero].real) == pytest.approx(2)
    others = [float(v.real) for k, v in enumerate(found.eigenvalues[:, 0]) if k != at_zero]
    assert others == pytest.approx([2 * (1 - h**2)] * 2)
    weak = fixed_points(with_weights(glasscell.RNN(1, 1), weight_hh=[0.9]))
    assert weak.states.tolist() == [[pytest.approx(0, abs=1e-12)]]


def test_an_lstm_that_holds_one_bit():
    """Gates held by biases, candidate tanh(5 h): a switch with two stable states."""
    bias = [1.0, 1.5, 0.0, 2.0]
    lstm = with_weights(glasscell.LSTM(1, 1), weight_hh=[0.0, 0.0, 5.0, 0.0], bias_ih=bias)
    i, f, _, o = (1 / (1 + math.exp(-v)) for v in bias)
    c = root(lambda c: (1 - f) * c - i * math.tanh(5 * o * math.tanh(c)), 0.5, 20)
    found = fixed_points(lstm)
    assert found.cell is not None
    assert sorted(found.cell.flatten().tolist()) == pytest.approx([-c, 0, c], abs=1e-10)
    torch.testing.assert_close(found.hidden, o * found.cell.tanh(), rtol=0, atol=1e-12)
    assert found.stability[int(found.cell.abs().argmin())] == "saddle"
    assert sorted(found.stability) == ["saddle", "stable", "stable"]


def test_a_gru_that_holds_one_bit():
    """z held by its bias drops out of h = (1 - z) n + z h; r = 1/2 halves what n sees of h."""
    gru = with_weights(
        glasscell.GRU(1, 1),
        weight_hh=[0.0, 0.0, 6.0],
        weight_ih=[0.0, 0.0, 1.0],
        bias_ih=[0.0, 3.0, 0.0],
    )
    found = fixed_points(gru, torch.tensor([0.1]))
    roots = [
        root(lambda h: h - math.tanh(0.1 + 3 * h), a, b)
        for a, b in ((-1, -0.6), (-0.5, 0.5), (0.6, 1.1))
    ]
    assert sorted(found.states.flatten().tolist()) == pytest.approx(roots, abs=1e-7)
    z, at = 1 / (1 + math.exp(-3)), int(found.states.flatten().argmax())
    slope = z + (1 - z) * (1 - roots[2] ** 2) * 3
    assert float(found.eigenvalues[at, 0].real) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("name", ["lstm", "lstm-projected", "lstm-peepholes", "gru", "rnn-tanh"])
def test_the_cell_stays_where_it_is_put(name):
    subject = SUBJECTS[name]
    w = subject.weights(I, H)
    w = w._replace(U=4 * w.U.detach())
    layer = recorded(subject, w, noise(30, 2, I), [30, 20])
    x = noise(I)
    # A peephole can keep a cell state growing for ever, so that there is no fixed point at all.
    found = fixed_points(w, x, starts=layer, n=40, slow=1.0)
    assert len(found) >= 1
    assert found.fixed.any() or name == "lstm-peepholes"
    for k in range(len(found)):
        c = None if found.cell is None else found.cell[k : k + 1]
        after = subject.cell.step(x[None], found.hidden[k : k + 1], c, w)
        moved = torch.cat([v[0] for v in (after.h, after.c) if v is not None]) - found.states[k]
        assert float(moved.detach().norm()) == pytest.approx(float(found.speed[k]), abs=1e-14)
        assert bool(found.fixed[k]) == (
            float(found.speed[k]) <= 1e-9 * max(1, float(found.states[k].norm()))
        )
    assert found.q.tolist() == pytest.approx((found.speed**2 / 2).tolist())
    assert int(found.starts.sum()) <= 40


def test_a_ghost_of_a_fixed_point_is_a_slow_one():
    """h = tanh(1.5 h + b), b just too large for two more fixed points: h hardly moves there."""
    w, slope = 1.5, 1 / 1.5
    h = -math.sqrt(1 - slope)  # where the curve is parallel to h, and comes nearest to it
    b = math.atanh(h) - w * h + 1e-4
    rnn = with_weights(glasscell.RNN(1, 1), weight_hh=[w], bias_ih=[b])
    found = fixed_points(rnn)
    assert found.fixed.tolist() == [True, False]
    assert float(found.states[1, 0]) == pytest.approx(h, abs=1e-3)
    assert float(found.speed[1]) == pytest.approx(1e-4 * slope, rel=1e-2)
    assert len(fixed_points(rnn, slow=1e-5)) == 1


def test_points_beyond_the_reach_of_a_gru_are_none():
    """There z may be 1 to the last digit, and h = h for no other reason."""
    gru = glasscell.GRU(I, 8)
    with torch.no_grad():
        gru.weights().U.mul_(8)
    starts = torch.cat((2 * noise(60, 8), 0.1 * noise(60, 8)))
    found = fixed_points(gru, starts=starts, slow=0.05)
    assert found.fixed.any()
    assert float(found.states.abs().max()) <= 1 + 1e-6


def test_a_gru_that_keeps_its_state_does_not_stop_the_search():
    """Where z is 1 to the last digit, J - I is singular, and the starts there get nowhere."""
    kept = 0
    for seed in range(12):
        torch.manual_seed(seed)
        gru = glasscell.GRU(2, 4)
        with torch.no_grad():
            for weight in gru.parameters():
                weight.mul_(5)
            bias = gru.weights().b_x
            assert bias is not None
            bias[4:8] += 2
        x = torch.randn(2)
        found = fixed_points(gru, x, n=64)
        assert found.states.isfinite().all()
        h = found.hidden.float()[None]
        with torch.no_grad():
            moved = gru(x.expand(1, len(found), 2), h)[1] - h
        assert float(moved.norm(dim=-1).max()) < 1e-2 + 1e-5
        kept += bool(found.fixed.any())
    assert kept == 12


def test_a_solve_that_fails_is_a_step_not_taken(monkeypatch):
    """One start in three meets a singular matrix each time: the others go their way."""
    U, b = 0.3 * noise(H, H), noise(H)
    rnn = linear_rnn(U, None, b)
    expected = fixed_points(rnn, n=9, steps=1)
    solve_ex = torch.linalg.solve_ex

    def failing(A, B, **options):
        result, info = solve_ex(A, B, **options)
        info[::3] = 1
        result[::3] = math.inf
        return result, info

    monkeypatch.setattr(torch.linalg, "solve_ex", failing)
    found = fixed_points(rnn, n=9, steps=1)
    assert found.fixed[0]
    torch.testing.assert_close(found.states[0], expected.states[0], rtol=0, atol=1e-12)


def test_starts_drawn_from_a_trace_are_its_states():
    gru = glasscell.GRU(I, H)
    with torch.no_grad(), glasscell.trace(torch.nn.Sequential(gru)) as trace:
        gru(torch.randn(9, 2, I))
    found = fixed_points(gru, torch.randn(I), starts=trace["0.l0"], steps=0, jitter=0.0)
    again = fixed_points(gru, torch.zeros(I), starts=found.states)
    assert again.fixed.all()


def test_what_cannot_be_searched_is_refused():
    lstm = glasscell.LSTM(I, H)
    with pytest.raises(InputError, match=r"x: expected \(3,\), one input to l0, got \(2, 3\)"):
        fixed_points(lstm, torch.zeros(2, I))
    with pytest.raises(InputError, match=r"starts: expected \(n, 8\), got \(5, 4\)"):
        fixed_points(lstm, starts=torch.zeros(5, H))
    with pytest.raises(InputError, match="n: expected at least 1, got 0"):
        fixed_points(lstm, n=0)
    for name in ("n", "steps"):
        with pytest.raises(InputError, match=f"{name}: expected a whole number, .* got 2.5"):
            fixed_points(lstm, **{name: 2.5})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="x: expected finite numbers"):
        fixed_points(lstm, torch.full((I,), math.nan))
    with pytest.raises(InputError, match="starts: expected finite numbers"):
        fixed_points(lstm, starts=torch.full((2, 2 * H), math.inf))
    for name in ("slow", "tolerance"):
        with pytest.raises(InputError, match=f"{name}: expected more than 0, got 0"):
            fixed_points(lstm, **{name: 0})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="merge: expected at least 0, got -1"):
        fixed_points(lstm, merge=-1)
    with pytest.raises(InputError, match="quantity: expected one of state, hidden, got 'cell'"):
        _ = fixed_points(glasscell.GRU(I, H), n=2)["cell"]


@pytest.mark.parametrize("library", [glasscell, torch.nn])
def test_a_layer_that_is_edited_is_refused(library):
    lstm = library.LSTM(2, 3)
    with (
        glasscell.edit(lstm, "l0", "forget_gate", set=1.0),
        pytest.raises(InputError, match="l0: an edit holds"),
    ):
        fixed_points(lstm, torch.zeros(2))


@pytest.mark.parametrize("library", [glasscell, torch.nn])
def test_a_run_under_an_edit_is_no_place_to_start_from(library):
    lstm = library.LSTM(2, 3)
    with glasscell.edit(lstm, "l0", "cell", units=[1], scale=0.5), glasscell.trace(lstm) as trace:
        lstm(torch.randn(9, 2, 2))
    for search in (
        lambda: fixed_points(lstm, starts=trace["l0"]),
        lambda: dynamics(lstm, trace["l0"]),
        lambda: lyapunov_exponents(lstm, trace["l0"]),
        lambda: kick_survival(lstm, trace["l0"]),
    ):
        with pytest.raises(InputError, match="l0: expected a run of the layer as it is"):
            search()
