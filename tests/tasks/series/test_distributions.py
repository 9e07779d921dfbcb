"""Losses, quantiles and draws, held against SciPy's distributions."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn.functional import softplus

from glasscell.errors import UserError
from glasscell.tasks.series.distributions import (
    LEAST,
    LEVELS,
    OUTPUTS,
    Quantiles,
    interpolated,
    output_of,
)

torch.manual_seed(0)
RAW = torch.randn(40, 3, dtype=torch.float64)
SCALE = torch.linspace(1, 9, 40, dtype=torch.float64)


def spread(raw):
    return (softplus(raw) + LEAST).numpy()


def theirs(name: str) -> Any:
    """SciPy's distribution of the same parameters, of y / scale, but of counts of y."""
    raw = RAW.numpy()
    if name == "normal":
        return stats.norm(raw[:, 0], spread(RAW[:, 1]))
    if name == "student":
        freedom = 2.1 + softplus(RAW[:, 2]).numpy()
        return stats.t(freedom, raw[:, 0], spread(RAW[:, 1]))
    mean, dispersion = spread(RAW[:, 0]) * SCALE.numpy(), spread(RAW[:, 1])
    return stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))


@pytest.mark.parametrize("name", ["normal", "student", "negative_binomial"])
def test_losses_and_quantiles_are_scipys(name):
    output, exact = OUTPUTS[name], theirs(name)
    raw = RAW[:, : output.parameters]
    unit = SCALE if output.counts else torch.ones(40, dtype=torch.float64)
    values = np.arange(40) % 7 if output.counts else np.linspace(-2, 2, 40)
    loss = output.loss(raw, torch.from_numpy(values / unit.numpy()), SCALE)
    log = exact.logpmf(values) if output.counts else exact.logpdf(values)
    np.testing.assert_allclose(loss.numpy(), -log, rtol=1e-9)
    found = output.quantiles(raw, SCALE, LEVELS) * unit[:, None]
    expected = np.stack([exact.ppf(level) for level in LEVELS], -1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose((output.mean(raw, SCALE) * unit).numpy(), exact.mean(), rtol=1e-9)


@pytest.mark.parametrize("name", list(OUTPUTS))
def test_draws_are_of_the_distribution(name):
    output = OUTPUTS[name]
    raw = torch.linspace(-1, 1, output.parameters, dtype=torch.float64).expand(20_000, -1)
    scale = torch.full((20_000,), 6.0, dtype=torch.float64)
    torch.manual_seed(3)
    drawn = output.draw(raw, scale).sort().values
    quantiles = output.quantiles(raw[:1], scale[:1], LEVELS)[0]
    for level, quantile in zip(LEVELS, quantiles, strict=True):
        below = float((drawn < quantile).double().mean())
        at_most = float((drawn <= quantile).double().mean())
        assert below - 0.02 <= level <= at_most + 0.02
    assert not output.counts or torch.equal(drawn * 6, (drawn * 6).round())


def test_quantiles_never_cross_and_their_loss_is_the_pinball_loss():
    from sklearn.metrics import mean_pinball_loss

    output = Quantiles()
    raw = 3 * torch.randn(50, output.parameters, dtype=torch.float64)
    y, one = torch.randn(50, dtype=torch.float64), torch.ones(50)
    quantiles = output.quantiles(raw, one, LEVELS)
    assert (quantiles.diff(dim=-1) > 0).all()
    expected = np.mean([
        2 * mean_pinball_loss(y, quantiles[:, k], alpha=level) for k, level in enumerate(LEVELS)
    ])  # fmt: skip
    assert float(output.loss(raw, y, one).mean()) == pytest.approx(expected, rel=1e-12)
    # the loss is least where the quantiles are those of what comes
    sample = torch.from_numpy(stats.norm.ppf((np.arange(4000) + 0.5) / 4000))
    free = torch.zeros(output.parameters, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        output.loss(free.expand(4000, -1), sample, sample).mean().backward()
        optimizer.step()
    found = output.quantiles(free[None].detach(), one[:1], LEVELS)[0]
    np.testing.assert_allclose(found.numpy(), stats.norm.ppf(LEVELS), atol=0.03)


def test_quantiles_between_and_beyond():
    values = torch.tensor([[1.0, 2.0, 4.0]])
    found = interpolated(values, (0.25, 0.5, 0.75), (0.1, 0.375, 0.5, 0.9))
    assert found.tolist() == [[1.0, 1.5, 2.0, 4.0]]


def test_an_output_that_is_none():
    with pytest.raises(UserError, match="output: expected one of quantiles, normal, student"):
        output_of("gamma")
    assert math.isclose(sum(LEVELS), 9.5)
