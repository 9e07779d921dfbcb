"""What weights begin with: values, distributions, seeds, for every cell that has a name."""

import math
from itertools import pairwise

import pytest
import torch
from tests.nn.first_weights import KEEPING, fits, generator, uniform, weights

from glasscell.cells import VARIANTS, named
from glasscell.nn import initial

DRAWS = {
    "uniform": initial.draw_uniform,
    "glorot": initial.draw_glorot,
    "chrono": lambda cell, w, generator: initial.draw_chrono(cell, w, 100, generator),
}


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("lstm", torch.nn.LSTM(3, 5)),
        ("lstm", torch.nn.LSTM(3, 5, bias=False)),
        ("lstm", torch.nn.LSTM(3, 5, proj_size=2)),
        ("gru", torch.nn.GRU(3, 5)),
        ("rnn", torch.nn.RNN(3, 5)),
    ],
    ids=["lstm", "nobias", "projected", "gru", "rnn"],
)
def test_uniform_draws_are_pytorchs_own(name, theirs):
    w = weights(named(name), 3, 5, theirs.proj_size or None, theirs.bias)
    torch.manual_seed(7)
    theirs.reset_parameters()
    initial.draw_uniform(named(name), w, generator(7))
    for ours, expected in zip(w.given, theirs.parameters(), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize(
    ("name", "draw"),
    [(name, draw) for draw in DRAWS for name in (KEEPING if draw == "chrono" else VARIANTS)],
)
def test_seeds_decide(name, draw):
    cell = VARIANTS[name]
    first, again, global_one, other = (weights(cell) for _ in range(4))
    DRAWS[draw](cell, first, generator(3))
    DRAWS[draw](cell, again, generator(3))
    torch.manual_seed(3)
    DRAWS[draw](cell, global_one, None)
    DRAWS[draw](cell, other, generator(4))
    for a, b, c in zip(first.given, again.given, global_one.given, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    assert any(not torch.equal(a, d) for a, d in zip(first.given, other.given, strict=True))


def test_a_given_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    for draw in DRAWS.values():
        draw(named("lstm"), weights(named("lstm")), generator())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("draw", ["uniform", "glorot"])
def test_gains_begin_with_one(name, draw):
    w = weights(VARIANTS[name])
    DRAWS[draw](VARIANTS[name], w, generator())
    if w.a is not None:
        assert (w.a == 1).all()
    if w.a_c is not None:
        assert (w.a_c[0] == 1).all()
        assert (w.a_c[1] == 0).all()


@pytest.mark.parametrize("draw", ["uniform", "glorot"])
def test_an_indrnn_gets_memories_of_all_lengths(draw):
    cell = VARIANTS["indrnn"]
    w = weights(cell, 4, 2000)
    DRAWS[draw](cell, w, generator())
    fits(w.p, uniform(0, 1))


@pytest.mark.parametrize("name", VARIANTS)
def test_uniform_covers_every_other_weight(name):
    I = H = 100
    w = weights(VARIANTS[name], I, H)
    initial.draw_uniform(VARIANTS[name], w, generator())
    own = name == "indrnn"
    for letter in ("W", "U", "b_x", "b_h", "S", *(() if own else ("p",))):
        weight = getattr(w, letter)
        if weight is not None and len(weight):
            fits(weight, uniform(-0.1, 0.1))


@pytest.mark.parametrize("name", VARIANTS)
def test_glorot_draws_gate_by_gate(name):
    cell, I, H = VARIANTS[name], 64, 64
    w = weights(cell, I, H)
    initial.draw_glorot(cell, w, generator())
    bound = math.sqrt(6 / (I + H))
    for gate in w.W.split(H):
        fits(gate, uniform(-bound, bound))
    blocks = list(w.U.split(H)) if len(w.U) else []
    if w.S is not None:
        blocks += [block for rows in w.S.split(H) for block in rows.split(H, 1)]
    for block in blocks:
        torch.testing.assert_close(block @ block.T, torch.eye(H), atol=1e-5, rtol=0)
    for one, other in pairwise(blocks):
        assert not torch.equal(one, other)
    for bias in (w.b_x, w.b_h):
        assert bias is None or (bias == 0).all()
    if w.p is not None and name != "indrnn":
        fits(w.p, uniform(-1 / 8, 1 / 8))


def test_glorot_of_a_projected_layer():
    """Each gate's U is (H, P): its columns are orthonormal."""
    w = weights(named("lstm"), 40, 30, 8, dtype=torch.float64)
    initial.draw_glorot(named("lstm"), w, generator())
    for gate in w.U.split(30):
        eye = torch.eye(8, dtype=torch.float64)
        torch.testing.assert_close(gate.T @ gate, eye, atol=1e-13, rtol=0)
    assert w.V is not None
    bound = math.sqrt(6 / (30 + 8))
    fits(w.V, uniform(-bound, bound))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision(dtype):
    cell = named("lstm")
    w, exact = weights(cell, dtype=dtype), weights(cell)
    for each in (w, exact):
        initial.draw_glorot(cell, each, generator())
        initial.draw_chrono(cell, each, 1000, generator())
    assert w.b_x is not None
    assert exact.b_x is not None
    assert torch.equal(w.U, exact.U.to(dtype))
    assert torch.equal(w.b_x, exact.b_x.to(dtype))


@pytest.mark.parametrize("name", VARIANTS)
def test_draws_without_biases(name):
    for draw in (initial.draw_uniform, initial.draw_glorot):
        w = weights(VARIANTS[name], bias=False)
        draw(VARIANTS[name], w, generator())
        assert w.b_x is None
        assert all(torch.isfinite(weight).all() for weight in w.given)


def test_gradients_are_not_recorded():
    w = weights(named("lstm"))
    initial.draw_glorot(named("lstm"), w)
    initial.draw_chrono(named("lstm"), w, 100)
    assert all(weight.is_leaf and weight.grad_fn is None for weight in w.given)
