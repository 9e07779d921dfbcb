"""What chance does to a step: drawn gates, held states, what the recurrence does not read."""

from dataclasses import replace

import pytest
import torch
from tests.tolerances import assert_close

from glasscell.cells import (
    HARD_SIGMOID,
    LSTM,
    NOISELESS,
    SIGMOID,
    TANH,
    GateMap,
    StepNoise,
)

B, H = 4, 500
GATE = GateMap("forget_gate", "f", SIGMOID)
BERNOULLI = replace(GATE, stochastic="bernoulli")
GUMBEL = replace(GATE, stochastic="gumbel", temperature=0.5)


def leaf(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def derivative(value: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(value.sum(), v)[0]


def test_a_drawn_gate_is_0_or_1_with_the_gradient_of_its_odds():
    v, u = leaf(B, H), torch.rand(B, H, dtype=torch.float64)
    value = StepNoise({"forget_gate": u}).gate(BERNOULLI, v)
    odds = v.sigmoid()
    assert torch.equal(value, (u < odds).double())
    assert_close(derivative(value, v), odds * (1 - odds))


def test_it_is_open_as_often_as_it_says():
    v = torch.linspace(-3, 3, 7, dtype=torch.float64).expand(20_000, 7)
    u = torch.rand(v.shape, dtype=torch.float64)
    often = StepNoise({"forget_gate": u}).gate(BERNOULLI, v).mean(0)
    odds = v[0].sigmoid()
    assert ((often - odds).abs() < 5 * (odds * (1 - odds) / len(v)).sqrt()).all()


def test_hard_odds_of_0_and_1_are_certain():
    """A draw from [0, 1) is never below 0, and always below 1."""
    hard = replace(BERNOULLI, squash=HARD_SIGMOID)
    v = torch.tensor([[-4.0, 4.0]])
    for u in (0.0, 2.0**-24, 1 - 2.0**-24):
        value = StepNoise({"forget_gate": torch.full((1, 2), u)}).gate(hard, v)
        assert value.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 3.0])
def test_a_gumbel_sigmoid_is_its_formula(temperature):
    """The difference of two Gumbel variables, G1 - G2, is log u - log(1 - u)."""
    v, u = leaf(B, H), torch.rand(B, H, dtype=torch.float64)
    gate = replace(GUMBEL, temperature=temperature)
    value = StepNoise({"forget_gate": u}).gate(gate, v)
    e, one = torch.exp, 1.0
    odds = v.detach().sigmoid()
    relative = (odds / (one - odds)) * (u / (one - u))
    expected = e(relative.log() / temperature) / (one + e(relative.log() / temperature))
    assert_close(value, expected)
    assert_close(derivative(value, v), expected * (1 - expected) / temperature)


def test_a_cold_gumbel_sigmoid_is_a_drawn_gate():
    """It is open where log u - log(1 - u) > -v, that is where 1 - u < the odds."""
    v, u = torch.randn(B, H).double(), torch.rand(B, H).double()
    cold = StepNoise({"forget_gate": u}).gate(replace(GUMBEL, temperature=1e-4), v)
    drawn = StepNoise({"forget_gate": 1 - u}).gate(BERNOULLI, v)
    assert (cold - drawn).abs().max() < 1e-6


def test_draws_in_single_precision_leave_double_as_it_is():
    v, u = torch.randn(B, H).double(), torch.rand(B, H)
    for gate in (BERNOULLI, GUMBEL):
        assert StepNoise({"forget_gate": u}).gate(gate, v).dtype == torch.float64


@pytest.mark.parametrize("gate", [GATE, BERNOULLI, GUMBEL], ids=["plain", "bernoulli", "gumbel"])
def test_a_slope_is_the_derivative(gate):
    v = leaf(B, H)
    u = {} if gate is GATE else {"forget_gate": torch.rand(B, H, dtype=torch.float64)}
    noise = StepNoise(u)
    value = noise.gate(gate, v)
    assert_close(noise.slope(gate, v.detach(), value.detach()), derivative(value, v))


def test_a_gate_that_is_not_drawn_is_as_ever():
    """In evaluation there are no draws; and others' are no affair of this one."""
    v = torch.randn(B, H)
    for noise in (NOISELESS, StepNoise({"input_gate": torch.rand(B, H)})):
        assert torch.equal(noise.gate(BERNOULLI, v), v.sigmoid())


@pytest.mark.parametrize("k", [0.0, 0.3, None])
def test_what_is_held(k):
    new, old = leaf(B, H), leaf(B, H)
    share = torch.randint(0, 2, (B, H)).double() if k is None else k
    noise = StepNoise(stays={"cell": share})
    held = noise.held("cell", new, old)
    if k is None:
        assert isinstance(share, torch.Tensor)
        assert torch.equal(held, torch.where(share == 1, old, new))
    else:
        assert_close(held, k * old + (1 - k) * new)
    d = torch.randn(B, H).double()
    expected = torch.autograd.grad((held * d).sum(), [new, old])
    for found, of in zip(noise.held_backward("cell", d), expected, strict=True):
        assert_close(found, of)
    assert noise.held("hidden", new, old) is new
    assert noise.held_backward("hidden", d) == (d, None)


def test_what_is_read():
    h, mask = torch.randn(B, H), torch.rand(B, H)
    assert torch.equal(StepNoise(mask=mask).read(h), h * mask)
    assert NOISELESS.read(h) is h


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stochastic": "coin"}, 'expected "bernoulli", "gumbel" or None, got \'coin\''),
        ({"stochastic": "bernoulli", "squash": TANH}, "ends in tanh, which gives no odds"),
        ({"stochastic": "gumbel", "temperature": 0.0}, "temperature: expected more than 0, got 0"),
        ({"stochastic": "gumbel", "temperature": -1.0}, "temperature: expected more than 0"),
        ({"stochastic": "gumbel", "temperature": float("nan")}, "temperature: expected more than"),
    ],
)
def test_odds_that_make_no_sense(change, message):
    with pytest.raises(ValueError, match=message):
        replace(GATE, **change)


def test_a_cell_says_whether_it_draws():
    assert not LSTM().is_stochastic
    assert LSTM(forget_gate=BERNOULLI).is_stochastic
    assert LSTM(forget_gate=BERNOULLI) != LSTM()
