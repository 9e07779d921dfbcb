"""How far the kernels' own sigmoid and tanh are from the exact values, over the whole range.

The functions are reached through an RNN of one unit whose input is what is squashed: W is 1, and
U and the biases are 0. Errors are in units in the last place (ulp) of the exact value.
"""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
from tests.engines.subjects import NEEDS_KERNELS
from torch import Tensor

from glasscell import ops
from glasscell.cells import RNN, SIGMOID, TANH, Squash, Weights
from glasscell.engines import Call, Packing

# The largest errors seen, rounded up: 2.46 and 2.50 in single precision (every seventh number from
# 2^-13 to 100 and either sign), 1.88 and 2.36 in double (20000 numbers).
LIMITS = {
    ("sigmoid", torch.float32): 2.5,
    ("tanh", torch.float32): 2.5,
    ("sigmoid", torch.float64): 2.0,
    ("tanh", torch.float64): 2.5,
}
SQUASHES = pytest.mark.parametrize("squash", [SIGMOID, TANH], ids=lambda squash: squash.name)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)

pytestmark = [NEEDS_KERNELS, pytest.mark.usefixtures("variant")]


def squashed(squash: Squash, x: Tensor) -> Tensor:
    """squash(x) for the numbers x (n,), as the kernels compute it."""
    one, zero = torch.ones(1, 1, dtype=x.dtype), torch.zeros(1, 1, dtype=x.dtype)
    cell = RNN(replace(RNN().hidden, squash=squash))
    packing, h_0 = Packing.dense(1, len(x)), zero.expand(len(x), 1)
    return ops.run(Call(cell, Weights(one, zero), x[:, None], packing, h_0), "native").h[:, 0]


def both_signs(x: Tensor) -> Tensor:
    return torch.cat((x, -x))


def every_magnitude(n: int) -> Tensor:
    """n single precision numbers of either sign, as many to each power of 2: the denormal, too."""
    bits = torch.linspace(0, 0x7F7FFFFF, n, dtype=torch.float64).to(torch.int32)
    return both_signs(bits.view(torch.float32))


def smallest_normal(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).smallest_normal


@SQUASHES
def test_single_precision(squash):
    x = torch.cat((every_magnitude(2**18), torch.linspace(-110, 110, 2**18)))
    exact = torch.tanh(x.double()).numpy()
    if squash is SIGMOID:  # e^x / (1 + e^x), whose relative error is small everywhere
        power = x.double().clamp(max=200).exp()
        exact = (power / (1 + power)).numpy()
    error = np.abs(squashed(squash, x).double().numpy() - exact)
    ulp = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    normal = (np.abs(exact) >= smallest_normal(torch.float32)) | (squash is TANH)
    assert (error / ulp)[normal].max() <= LIMITS[squash.name, torch.float32]
    # Where sigmoid's exact value is denormal, 0 will do.
    assert error.max(where=~normal, initial=0) <= smallest_normal(torch.float32)


@SQUASHES
def test_double_precision(squash):
    small = 10 ** torch.linspace(-320, 0, 300).double()
    ordinary = torch.cat((torch.randn(500).double(), 10 * torch.randn(500).double()))
    x = torch.cat((both_signs(small), ordinary, torch.linspace(-700, 700, 500).double()))
    function = mpmath.tanh if squash is TANH else lambda x: 1 / (1 + mpmath.exp(-x))
    worst = 0.0
    with mpmath.workprec(150):
        for number, found in zip(x.tolist(), squashed(squash, x).tolist(), strict=True):
            exact = function(mpmath.mpf(number))
            ulp = np.spacing(abs(float(exact)))
            worst = max(worst, float(abs(found - exact) / mpmath.mpf(float(ulp))))
    assert worst <= LIMITS[squash.name, torch.float64]


@DTYPES
def test_the_ends_of_the_range_are_exact(dtype):
    huge = torch.tensor([1e3, 1e30, torch.finfo(dtype).max, float("inf")], dtype=dtype)
    assert (squashed(SIGMOID, huge) == 1).all()
    assert (squashed(SIGMOID, -huge) == 0).all()
    assert (squashed(TANH, huge) == 1).all()
    assert (squashed(TANH, -huge) == -1).all()
    zero = torch.tensor([0.0, -0.0], dtype=dtype)
    assert (squashed(SIGMOID, zero) == 0.5).all()
    assert (squashed(TANH, zero) == 0).all()
    assert squashed(SIGMOID, zero / 0).isnan().all()
    assert squashed(TANH, zero / 0).isnan().all()


@SQUASHES
@DTYPES
def test_values_stay_in_their_range_and_never_fall(squash, dtype):
    y = squashed(squash, torch.linspace(-50, 50, 2**16).to(dtype))
    least, greatest = squash.range
    assert y.min() >= least
    assert y.max() <= greatest
    # Neighbours may be rounded apart by their errors; further apart they never change places.
    slack = 2 * max(LIMITS.values()) * torch.finfo(dtype).eps
    assert (y.diff() >= -slack * y[1:].abs()).all()
