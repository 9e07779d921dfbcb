"""Drawn settings for the published equations, and how what comes out is compared."""

import numpy as np
import torch
from tests.cells import published

T, B, I, H = 6, 3, 4, 5


def setting(cell, I=I, P=None, T=T):
    """x, states and weights of a variant, drawn."""
    generator = np.random.default_rng(0)
    w = published.drawn(cell, I, H, generator, P)
    before = published.zeros(cell, B, H, P)
    before = {k: generator.normal(size=s.shape) for k, s in before.items()}
    return generator.normal(size=(T, B, I)), before, w


def close(found, expected, tolerance=1e-13):
    """Within a fraction of the largest expected magnitude, or of 1."""
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    assert np.abs(found - expected).max() <= tolerance * max(1, np.abs(expected).max())


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array))
