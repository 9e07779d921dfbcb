"""The random numbers of runs: Philox as published, and what it is used for."""

import numpy as np
import pytest
import torch
from tests.cells.philox import philox4x32
from tests.cells.zoo_of_variants import call_of

from glasscell.cells import VARIANTS
from glasscell.engines.noise import RunNoise, step_noise
from glasscell.engines.philox import philox, uniform


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), 0, "5f6fb709 0d893f64 4f121f81 4f730a48"),
        ((0xFFFFFFFF,) * 4, 2**64 - 1, "5207ddc2 45165e59 4d8ee751 8c52f662"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            0x299F31D0_A4093822,
            "4dfccaba 190a87f0 c47362ba b6b5242a",
        ),
    ],
)
def test_known_answers(counter, key, expected):
    found = philox(counter, key, torch.zeros(()))
    assert " ".join(f"{int(word):08x}" for word in found) == expected


def test_every_word_is_the_independent_ones():
    token, unit = torch.arange(50)[:, None], torch.arange(40)
    key = 0x0123456789ABCDEF
    found = philox((token, 7, unit, 1), key, token)
    shape = (50, 40)
    parts = [np.broadcast_to(part, shape) for part in (token.numpy(), 7, unit.numpy(), 1)]
    expected = philox4x32(np.stack(parts, -1), np.array([key & 0xFFFFFFFF, key >> 32]))
    for k, ours in enumerate(found):
        np.testing.assert_array_equal(ours.numpy(), expected[..., k])


def test_uniform_numbers_are_between_0_and_1_and_neither():
    ends = uniform(torch.tensor([0, 2**32 - 1]))
    assert 0 < ends[0] < 1e-7
    assert 1 - 1e-6 < ends[1] < 1


def draws(seed: int, H: int = 200) -> torch.Tensor:
    """(N, 2, H) what decides about both states in zoneout."""
    call = call_of(VARIANTS["lstm"], [50] * 20, 2, H, H)
    call = call._replace(noise=RunNoise(seed, zoneout=(0.5, 0.5)))
    (noise,) = step_noise(call, [slice(None)])
    return torch.stack([noise.stays["cell"], noise.stays["hidden"]], 1)  # type: ignore[list-item]


def test_draws_are_fair_and_independent():
    """Of tokens, units, states and seeds: correlations within what chance allows."""
    d = 2 * draws(1) - 1
    N, _, H = d.shape
    n = N * H
    bound = 5 / n**0.5
    assert abs(d[:, 0].mean()) < bound
    assert abs((d[:, 0] * d[:, 1]).mean()) < bound
    assert abs((d[1:, 0] * d[:-1, 0]).mean()) < 1.1 * bound
    assert abs((d[:, :, 1:] * d[:, :, :-1]).mean()) < 1.1 * bound
    assert abs((d * (2 * draws(2) - 1)).mean()) < bound
