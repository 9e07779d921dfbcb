import math

import pytest
import torch
from tests.analysis.state_space.driven import linear_rnn, recorded
from tests.cells.zoo import SUBJECTS, independent
from tests.tolerances import assert_close

import glasscell
from glasscell.analysis import LyapunovSpectrum, lyapunov_exponents
from glasscell.errors import InputError

T, B, I, H = 7, 3, 4, 5


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_a_linear_network_grows_by_its_eigenvalues():
    """Symmetric: its eigenvectors are orthogonal, so the estimate converges exponentially."""
    Q = torch.linalg.qr(noise(4, 4))[0]
    values = torch.tensor([1.5, -0.9, 0.4, 0.1]).double()
    found = lyapunov_exponents(
        linear_rnn(Q @ values.diag() @ Q.T), noise(60, 2, 4) / 1e3, warm_up=50
    )
    torch.testing.assert_close(found.exponents, values.abs().log(), rtol=0, atol=1e-9)
    assert float(found.standard_error.max()) < 1e-9


def test_a_triangular_network_grows_by_its_diagonal():
    """Not orthogonal: the error falls as 1 / steps only, and without warm-up it is larger."""
    U = torch.tensor([[0.8, 2.0, -1.0], [0.0, 0.5, 3.0], [0.0, 0.0, 0.2]]).double()
    found = lyapunov_exponents(linear_rnn(U), noise(200, 2, 3), warm_up=40)
    torch.testing.assert_close(found.exponents, U.diagonal().log(), rtol=0, atol=1e-9)
    early = lyapunov_exponents(linear_rnn(U), noise(200, 2, 3))
    assert (early.running[-1] - U.diagonal().log()).abs().max() > 1e-4


def test_a_rotation_neither_grows_nor_shrinks():
    angle = torch.tensor(0.7, dtype=torch.float64)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)
    found = lyapunov_exponents(linear_rnn(0.95 * turn), noise(30, 2, 2))
    expected = torch.full((30, 2, 2), math.log(0.95), dtype=torch.float64)
    assert_close(found.exponents, expected[0, 0])
    assert_close(found.growth, expected)


def test_one_unit_has_the_mean_log_slope():
    rnn = glasscell.RNN(1, 1, dtype=torch.float64)
    x = noise(50, 4, 1)
    h = rnn(x)[0].detach()
    slopes = (float(rnn.weights().U.detach()) * (1 - h**2)).abs().log()
    found = lyapunov_exponents(rnn, x, warm_up=10)
    assert_close(found.growth, slopes[10:])
    assert_close(found.exponents, slopes[10:].mean((0, 1)))
    assert_close(found.by_sequence, slopes[10:].mean(0))
    assert_close(found.running[:, 0], slopes[10:].mean(1).cumsum(0)[:, 0] / torch.arange(1, 41))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(
    "name", ["lstm", "lstm-projected", "lstm-peepholes", "gru", "rnn-tanh"]
)  # fmt: skip
def test_volumes_grow_by_the_explicit_product_of_jacobians(name, reverse):
    """All growths sum to the log determinant, those of k displacements to what they span."""
    subject, lengths = SUBJECTS[name], [7, 5, 2]
    w, x = subject.weights(I, H), noise(T, B, I)
    layer = recorded(subject, w, x, lengths, reverse)
    every, two = lyapunov_exponents(w, layer), lyapunov_exponents(w, layer, k=2, seed=3)
    S = every.exponents.shape[0]
    start = torch.randn(S, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    model = independent(subject.cell, w)
    for b, n in enumerate(lengths):
        product, determinant = product_of_jacobians(model, layer, x[:, b], b, n)
        assert float(every.growth[:n, b].sum()) == pytest.approx(determinant, rel=1e-9)
        area = torch.linalg.svdvals(product @ start).log() - torch.linalg.svdvals(start).log()
        assert float(two.growth[:n, b].sum()) == pytest.approx(float(area.sum()), rel=1e-6)
        assert every.growth[n:, b].isnan().all()


def product_of_jacobians(model, layer, x, b, n):
    """J_n ... J_1 of one sequence, by autograd through the independent equations; and ln |det|."""
    parts = [layer.initial_hidden[b]]
    if layer.definition.has_cell_state:
        parts.append(layer.initial_cell[b])
    s, P = torch.cat(parts), len(parts[0])
    product, determinant = torch.eye(len(s), dtype=torch.float64), 0.0

    def step(s, x):
        after = model.step(x[None], s[None, :P], s[None, P:] if len(s) > P else None)
        return torch.cat([v[0] for v in (after.h, after.c) if v is not None])

    for t in range(n - 1, -1, -1) if layer.reverse else range(n):
        J = torch.autograd.functional.jacobian(lambda s, t=t: step(s, x[t]), s)
        product, determinant = J @ product, determinant + float(torch.linalg.slogdet(J)[1])
        s = step(s, x[t]).detach()
        assert_close(s[:P], layer.sequence("hidden", b)[t])
    return product, determinant


def test_each_exponent_becomes_the_log_singular_value_of_the_product():
    """Where they lie far apart, R's diagonal of a longer product is its singular values."""
    U = torch.tensor([1.4, 0.7, 0.5]).double().diag() + 0.05 * noise(3, 3)
    found = lyapunov_exponents(linear_rnn(U), noise(25, 1, 3))
    values = torch.linalg.svdvals(torch.linalg.matrix_power(U, 25))
    # apart from what depends on where the displacements began, which 25 steps share
    torch.testing.assert_close(found.exponents, values.log() / 25, rtol=0, atol=0.08)
    assert float(found.exponents.sum()) == pytest.approx(float(torch.linalg.slogdet(U)[1]))


def test_the_largest_are_found_alone():
    gru = glasscell.GRU(I, 6)
    x = torch.randn(400, 2, I)
    every = lyapunov_exponents(gru, x, warm_up=100)
    largest = lyapunov_exponents(gru, x, warm_up=100, k=2, seed=5)
    torch.testing.assert_close(largest.exponents, every.exponents[:2], rtol=0, atol=2e-3)
    assert largest.growth.shape == (300, 2, 2)


def test_a_strongly_coupled_random_network_is_chaotic_and_a_weak_one_is_not():
    """Sompolinsky, Crisanti and Sommers 1988: chaos begins at g = 1."""
    for g, chaotic in ((0.5, False), (4.0, True)):
        rnn = glasscell.RNN(1, 60, bias=False)
        with torch.no_grad():
            rnn.weights().U.normal_(0, g / math.sqrt(60))
        with torch.no_grad(), glasscell.trace(rnn) as trace:
            rnn(torch.zeros(200, 2, 1), 0.1 * torch.randn(1, 2, 60))
        found = lyapunov_exponents(rnn, trace["l0"], k=12, warm_up=50)
        assert bool(found.exponents[0] > 5 * found.standard_error[0]) == chaotic
        assert (found.dimension > 1) == chaotic


def test_torch_layers_ragged_batches_and_callers_orders_agree():
    ours = glasscell.LSTM(I, H, 2, bidirectional=True, dtype=torch.float64)
    theirs = torch.nn.LSTM(I, H, 2, bidirectional=True, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    x, lengths = noise(T, B, I), torch.tensor([4, 7, 5])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    for name in ("l0", "l1_reverse"):
        with torch.no_grad(), glasscell.trace(ours) as trace:
            ours(x, lengths=lengths)
        found = lyapunov_exponents(ours, trace[name], warm_up=1)
        other = lyapunov_exponents(theirs, packed, layer=name, warm_up=1)
        torch.testing.assert_close(found.growth, other.growth, equal_nan=True)
        assert (~found.growth[..., 0].isnan()).sum(0).tolist() == [3, 6, 4]
    with torch.no_grad(), glasscell.trace(ours) as trace:
        ours(x[:4, 0])
    alone = lyapunov_exponents(ours, trace["l0"])
    with torch.no_grad(), glasscell.trace(ours) as trace:
        ours(x, lengths=lengths)
    together = lyapunov_exponents(ours, trace["l0"])
    torch.testing.assert_close(alone.growth[:, 0].sort()[0], together.growth[:4, 0].sort()[0])


def test_the_standard_error_is_the_scatter_of_independent_steps():
    """Of growths drawn at random, known to be independent, it must be sigma / sqrt(n)."""
    from glasscell.analysis.state_space.lyapunov import _standard_error

    growth = 0.3 * noise(500, 30, 4)
    found = _standard_error(growth, growth.mean((0, 1)))
    expected = torch.full((4,), 0.3 / math.sqrt(500 * 30)).double()
    torch.testing.assert_close(found, expected, rtol=0.35, atol=0)
    one = _standard_error(growth[:1, :1], growth[:1, :1].mean((0, 1)))
    assert one.isnan().all()


def test_the_kaplan_yorke_dimension():
    def spectrum(*values):
        exponents = torch.tensor(values).double()
        return LyapunovSpectrum(exponents, exponents, exponents[None, None])

    assert spectrum(0.906, 0.0, -14.572).dimension == pytest.approx(2 + 0.906 / 14.572)  # Lorenz
    assert spectrum(-0.1, -0.2).dimension == 0
    assert spectrum(0.3, 0.1).dimension == 2


def test_directions_that_a_step_wipes_out_are_minus_infinity():
    found = lyapunov_exponents(
        linear_rnn(torch.tensor([[0.5, 0.0], [0.0, 0.0]]).double()), noise(5, 1, 2)
    )
    assert float(found.exponents[1]) == -math.inf


def test_what_cannot_be_computed_is_refused():
    lstm, x = glasscell.LSTM(I, H), torch.randn(T, B, I)
    for k in (0, 11):
        with pytest.raises(
            InputError, match=f"k: expected 1 to 10, the size of the state, got {k}"
        ):
            lyapunov_exponents(lstm, x, k=k)
    for warm_up in (-1, 7):
        with pytest.raises(InputError, match=f"warm_up: expected 0 to 6, .*got {warm_up}"):
            lyapunov_exponents(lstm, x, warm_up=warm_up)
