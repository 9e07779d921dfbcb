"""Noise in whole runs: published steps with draws made apart, and what the draws are like.

The draws are those of tests/cells/philox.py, by their place: the token's row, the unit, what it is
for. So an engine that drew others, or used them elsewhere, would not agree.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.cells import published
from tests.cells.philox import philox4x32
from tests.cells.zoo_of_variants import (
    NAMES,
    applicable,
    call_of,
    drawn,
    published_run,
    results,
)
from tests.engines.subjects import NEEDS_KERNELS
from tests.engines.test_variant_matrix import NOT_NATIVE
from tests.tolerances import assert_close, assert_same_bits

from glasscell.cells import LSTM, VARIANTS, spec
from glasscell.engines import ENGINES, Call
from glasscell.engines.noise import RunNoise

LENGTHS, H = [5, 5, 3, 1], 6
SEED = 2**61 + 12345678901
GATES, STATES = 0, 1  # what a counter says its numbers are for
# What no paper says how to draw, or the published equations do not.
UNDRAWN = ("janet", "min_lstm", "min_gru", "slstm")
ENGINES_OF = [
    pytest.param(
        engine, name, id=f"{engine}-{name}", marks=NEEDS_KERNELS if engine == "native" else ()
    )
    for engine in ("native", "reference")
    for name in NAMES
    if engine == "reference" or name not in NOT_NATIVE
]
EITHER = [pytest.param("native", marks=NEEDS_KERNELS), "reference"]


def numbers(seed: int, token: int, width: int, what: int, count: int) -> np.ndarray:
    """(count, width) uniform numbers of a token: four of each counter, for one unit where more
    than two are asked for, and for two neighbouring units otherwise.
    """
    units = np.arange(width)
    one_each = count > 2
    at = units if one_each else units // 2
    counter = np.stack(np.broadcast_arrays(token % 2**32, token >> 32, at, what), -1)
    words = philox4x32(counter, np.array([seed % 2**32, seed >> 32]))  # (width, 4)
    first = np.zeros(width, int) if one_each else 2 * (units % 2)
    picked = [words[units, first + k] for k in range(count)]
    return (np.stack(picked) // 512 + 0.5) / 2**23


def noise_of(call: Call) -> Callable[[list[int], int], list[published.Noise]]:
    """What chance does in a call, for the published equations."""
    noise, P = call.noise, call.weights.U.shape[1]
    assert noise is not None
    gates = [gate for gate in call.cell.gates if gate.stochastic]

    def state(token: int, place: int, width: int):
        rate = noise.zoneout[place]
        if not rate:
            return None
        if not noise.training:
            return rate
        return (numbers(noise.seed, token, width, STATES, 2)[place] < rate).astype(float)[None]

    def of_sequence(rows: list[int], b: int) -> list[published.Noise]:
        found = []
        for token in rows:
            uniform = {}
            if gates and noise.training:
                u = numbers(noise.seed, token, call.H, GATES, len(gates))
                uniform = {gate.letter: row[None] for gate, row in zip(gates, u, strict=True)}
            mask = None if noise.mask is None else noise.mask[b : b + 1].numpy()
            keeps = {"keep_c": state(token, 0, call.H), "keep_h": state(token, 1, P)}
            found.append(published.Noise(**keeps, uniform=uniform, mask=mask))
        return found

    return of_sequence


def noisy(name: str, reverse: bool, training: bool, draw: bool, masked: bool) -> Call:
    cell = drawn(VARIANTS[name], "bernoulli") if draw and name not in UNDRAWN else VARIANTS[name]
    # what an output gate peeks at is held before
    of_cell = cell.has_cell_state and "output_gate" not in cell.peepholes
    mask = None
    if masked:
        mask = torch.randint(0, 2, (len(LENGTHS), H)) * 1.5
        mask = mask.double()
    noise = RunNoise(SEED, training, (0.4 if of_cell else 0.0, 0.3), mask)
    return call_of(cell, LENGTHS, applicable(name, 4, H), H, H, reverse=reverse, noise=noise)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluating"])
@pytest.mark.parametrize(("engine", "name"), ENGINES_OF)
def test_a_run_is_the_published_steps_with_these_draws(engine, name, training, reverse):
    call = noisy(name, reverse, training, draw=True, masked=training)
    expected = published_run(name, call, noise_of(call))
    for quantity, value in results(ENGINES[engine].run(call)).items():
        assert_close(value, expected[quantity], quantity)


@pytest.mark.parametrize("engine", EITHER)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_zoneout_keeps_the_drawn_units_and_no_other(engine, reverse):
    """To the last bit: what is held is what was there."""
    noise = RunNoise(SEED, True, (0.4, 0.3))
    call = call_of(LSTM(), LENGTHS, 4, H, H, torch.float32, reverse, noise)
    record = ENGINES[engine].run(call)
    assert record.c is not None
    assert call.c_0 is not None
    for place, states, initial in ((0, record.c, call.c_0), (1, record.h, call.h_0)):
        before = call.packing.previous(states, initial, reverse)
        rate = noise.zoneout[place]
        drawn_units = np.stack(
            [numbers(SEED, n, H, STATES, 2)[place] < rate for n in range(call.packing.N)]
        )
        assert torch.equal(states == before, torch.from_numpy(drawn_units))


@pytest.mark.parametrize("engine", EITHER)
def test_the_same_seed_gives_the_same_bits_and_another_does_not(engine):
    cell = drawn(LSTM(), "bernoulli")
    noise = RunNoise(SEED, True, (0.2, 0.1))
    call = call_of(cell, LENGTHS, 4, H, H, torch.float32, noise=noise)
    first, again = (results(ENGINES[engine].run(call)) for _ in range(2))
    other = results(ENGINES[engine].run(call._replace(noise=noise._replace(seed=SEED + 1))))
    for quantity, value in first.items():
        assert_same_bits(again[quantity], value)
    assert not torch.equal(other["h"], first["h"])
    high = results(ENGINES[engine].run(call._replace(noise=noise._replace(seed=SEED ^ (1 << 62)))))
    assert not torch.equal(high["h"], first["h"])  # all 64 bits of it count


@pytest.mark.parametrize("engine", EITHER)
def test_outside_training_nothing_is_drawn(engine):
    cell = drawn(LSTM(), "bernoulli")
    call = call_of(cell, LENGTHS, 4, H, H)
    quiet = results(ENGINES[engine].run(call))
    evaluated = call._replace(noise=RunNoise(SEED, False))
    assert not evaluated.noise.acts_on(cell)  # type: ignore[union-attr]
    for quantity, value in results(ENGINES[engine].run(evaluated)).items():
        assert_same_bits(value, quiet[quantity])


def one_step(line: str, seed: int, record_of: str = "reference") -> tuple[Call, torch.Tensor]:
    """A call of one step, always the same but for its seed, and its gates (N, G, H)."""
    torch.manual_seed(0)
    call = call_of(spec.read(line), [1] * 20, 3, 32, 32, noise=RunNoise(seed))
    record = ENGINES[record_of].run(call)
    assert record.gates is not None
    return call, record.gates


STOCHASTIC = "lstm(forget_gate=gate(stochastic='{}'), output_gate=gate(stochastic='{}'))"


@pytest.mark.parametrize("how", ["bernoulli", "gumbel"])
@pytest.mark.parametrize("engine", EITHER)
def test_over_many_seeds_gates_are_open_as_often_as_their_odds_say(engine, how):
    """A drawn gate is 0 or 1; a Gumbel-sigmoid is above a half as often."""
    line = STOCHASTIC.format(how, how)
    call, _ = one_step(line, 0)
    plain = ENGINES["reference"].run(call._replace(noise=None)).gates
    assert plain is not None
    seeds = 400
    for k in (1, 3):
        total = torch.zeros_like(plain[:, k])
        for seed in range(seeds):
            gate = one_step(line, 7919 * seed, engine)[1][:, k]
            if how == "bernoulli":
                assert ((gate == 0) | (gate == 1)).all()
            else:
                assert ((gate > 0) & (gate < 1)).all()
            total += (gate > 0.5).double()
        odds = plain[:, k]
        deviation = (total / seeds - odds) / (odds * (1 - odds) / seeds).sqrt()
        assert deviation.abs().max() < 5  # of 640 numbers, by chance once in 3000 such tests
        assert 0.85 < deviation.std() < 1.15


@pytest.mark.parametrize("engine", EITHER)
def test_gradients_pass_straight_through_a_drawn_gate(engine):
    """dL/df_pre = dL/df * f (1 - f), with f the odds, whatever was drawn."""
    call, _ = one_step(STOCHASTIC.format("bernoulli", "bernoulli"), 3)
    b_x = call.weights.b_x
    assert b_x is not None
    b_x = b_x.clone().requires_grad_()
    call = call._replace(weights=call.weights._replace(b_x=b_x))
    record = ENGINES[engine].run(call)
    assert record.gates is not None
    assert record.pre is not None
    d = torch.randn_like(record.gates)
    (found,) = torch.autograd.grad(record.gates, b_x, d)
    odds = record.pre.detach().sigmoid()
    for k in (1, 3):
        expected = (d[:, k] * odds[:, k] * (1 - odds[:, k])).sum(0)
        assert_close(found.view(4, -1)[k], expected, kind="gradient")


@pytest.mark.parametrize("engine", EITHER)
def test_a_mask_is_its_sequences_at_every_step(engine):
    """Runs of single sequences with U's columns scaled by their masks."""
    mask = torch.randint(0, 2, (len(LENGTHS), H)) * 1.25
    call = call_of(LSTM(), LENGTHS, 4, H, H, noise=RunNoise(mask=mask.double()))
    h = ENGINES[engine].run(call).h
    assert call.c_0 is not None
    t, b = call.packing.step_and_sequence()
    for k, length in enumerate(LENGTHS):
        rows = (b == k).nonzero()[:, 0]
        alone = call_of(LSTM(), [length], 4, H, H)
        w = call.weights._replace(U=call.weights.U * mask[k])
        alone = alone._replace(
            x=call.x[rows], weights=w, h_0=call.h_0[k : k + 1], c_0=call.c_0[k : k + 1]
        )
        assert_close(h[rows], ENGINES[engine].run(alone).h)
    assert int(t.max()) == max(LENGTHS) - 1


def test_tokens_units_gates_and_states_have_numbers_of_their_own():
    """No two of a run's draws share a number."""
    found = [
        numbers(SEED, token, 8, what, count)
        for token in range(50)
        for what, count in ((GATES, 3), (STATES, 2))
    ]
    every = np.concatenate([each.ravel() for each in found])
    assert len(np.unique(every)) > 0.999 * len(every)  # of 2^23, some meet by chance
