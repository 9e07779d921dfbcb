"""What a forecast says of a value: quantiles, or a distribution whose parameters the head gives.

Everything is in the series' own scale: y / scale for counts, (y - location) / scale else; see
`scaling`. A loss is of y itself, so that losses of differently scaled series can be added up where
it is a likelihood (Salinas et al. 2020, "DeepAR").
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from glasscell.errors import UserError

LEVELS = tuple(k / 20 for k in range(1, 20))  # 5 % to 95 %
LEAST = 1e-4  # of a scale or a dispersion, in the series' scale


class Output(ABC):
    """A kind of forecast.

    Attributes:
        name: as options name it.
        parameters: how many numbers of the head make one forecast.
        counts: whether it is of whole numbers from 0. What is not is told from the last value
            on: what a head says is added to it, so that a series may leave its range.
    """

    name: str
    parameters: int
    counts = False

    @abstractmethod
    def loss(self, raw: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        """(...) the loss of each value.

        Args:
            raw: (..., parameters) of the head.
            y: (...) the values, scaled.
            scale: (...) of each series, where the loss depends on it.
        """

    @abstractmethod
    def mean(self, raw: Tensor, scale: Tensor) -> Tensor:
        """(...) what is expected, scaled: of quantiles the median."""

    @abstractmethod
    def quantiles(self, raw: Tensor, scale: Tensor, levels: tuple[float, ...]) -> Tensor:
        """(..., levels) scaled."""

    @abstractmethod
    def draw(self, raw: Tensor, scale: Tensor) -> Tensor:
        """(...) a value drawn from torch's own generator, scaled."""


@dataclass(frozen=True)
class Quantiles(Output):
    """Quantiles of any shape, by the pinball loss; they never cross (Koenker and Bassett 1978)."""

    levels: tuple[float, ...] = LEVELS
    name = "quantiles"

    @property
    def parameters(self) -> int:  # type: ignore[override]
        return len(self.levels)

    def _values(self, raw: Tensor) -> Tensor:
        middle = len(self.levels) // 2
        steps = F.softplus(raw)
        above = steps[..., middle + 1 :].cumsum(-1)
        below = steps[..., :middle].flip(-1).cumsum(-1).flip(-1)
        at = raw[..., middle : middle + 1]
        return torch.cat((at - below, at, at + above), -1)

    def loss(self, raw: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        levels = raw.new_tensor(self.levels)
        off = y[..., None] - self._values(raw)
        return 2 * torch.maximum(levels * off, (levels - 1) * off).mean(-1)

    def mean(self, raw: Tensor, scale: Tensor) -> Tensor:
        return raw[..., len(self.levels) // 2]

    def quantiles(self, raw: Tensor, scale: Tensor, levels: tuple[float, ...]) -> Tensor:
        own = self._values(raw)
        if levels == self.levels:
            return own
        return interpolated(own, self.levels, levels)

    def draw(self, raw: Tensor, scale: Tensor) -> Tensor:
        own = self._values(raw)
        u = torch.rand_like(own[..., 0])
        places = own.new_tensor(self.levels)
        k = torch.searchsorted(places, u.contiguous()).clamp(1, len(places) - 1)[..., None]
        low, high = own.gather(-1, k - 1), own.gather(-1, k)
        part = (u[..., None] - places[k - 1]) / (places[k] - places[k - 1])
        return (low + part * (high - low))[..., 0]  # the tails go on in a straight line


@dataclass(frozen=True)
class Normal(Output):
    """N(mean, deviation)."""

    name = "normal"
    parameters = 2

    @staticmethod
    def _of(raw: Tensor) -> tuple[Tensor, Tensor]:
        return raw[..., 0], F.softplus(raw[..., 1]) + LEAST

    def loss(self, raw: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        mean, deviation = self._of(raw)
        return deviation.log() + 0.5 * ((y - mean) / deviation) ** 2 + 0.5 * math.log(2 * math.pi)

    def mean(self, raw: Tensor, scale: Tensor) -> Tensor:
        return raw[..., 0]

    def quantiles(self, raw: Tensor, scale: Tensor, levels: tuple[float, ...]) -> Tensor:
        mean, deviation = self._of(raw)
        return mean[..., None] + deviation[..., None] * torch.special.ndtri(raw.new_tensor(levels))

    def draw(self, raw: Tensor, scale: Tensor) -> Tensor:
        mean, deviation = self._of(raw)
        noise = torch.randn_like(mean)
        return mean + deviation * noise


@dataclass(frozen=True)
class StudentT(Output):
    """Student's t with a location, a scale and more than 2 degrees of freedom: heavier tails."""

    name = "student"
    parameters = 3

    @staticmethod
    def _of(raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return raw[..., 0], F.softplus(raw[..., 1]) + LEAST, 2.1 + F.softplus(raw[..., 2])

    def loss(self, raw: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        location, spread, freedom = self._of(raw)
        half = (freedom + 1) / 2
        off = ((y - location) / spread) ** 2 / freedom
        return (
            torch.lgamma(freedom / 2) - torch.lgamma(half) + 0.5 * (freedom * math.pi).log()
            + spread.log() + half * off.log1p()
        )  # fmt: skip

    def mean(self, raw: Tensor, scale: Tensor) -> Tensor:
        return raw[..., 0]

    def quantiles(self, raw: Tensor, scale: Tensor, levels: tuple[float, ...]) -> Tensor:
        from scipy.stats import t

        location, spread, freedom = (v.double().cpu().numpy()[..., None] for v in self._of(raw))
        values = location + spread * t.ppf(np.array(levels), freedom)
        return torch.from_numpy(np.asarray(values)).to(raw)

    def draw(self, raw: Tensor, scale: Tensor) -> Tensor:
        location, spread, freedom = self._of(raw)
        return torch.distributions.StudentT(freedom, location, spread).sample()


@dataclass(frozen=True)
class NegativeBinomial(Output):
    """Counts with a mean and a dispersion a: their variance is mean + a mean^2 (Salinas et al.
    2020, section 3.1, where the head's mean is multiplied by the series' scale)."""

    name = "negative_binomial"
    parameters = 2
    counts = True

    @staticmethod
    def _of(raw: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        mean = (F.softplus(raw[..., 0]) + LEAST) * scale
        return mean, F.softplus(raw[..., 1]) + LEAST

    def loss(self, raw: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        mean, dispersion = self._of(raw, scale)
        count, r = (y * scale).round(), 1 / dispersion
        return (
            torch.lgamma(r) + torch.lgamma(count + 1) - torch.lgamma(count + r)
            + (r + count) * (mean * dispersion).log1p() - count * (mean * dispersion).log()
        )  # fmt: skip

    def mean(self, raw: Tensor, scale: Tensor) -> Tensor:
        return self._of(raw, scale)[0] / scale

    def quantiles(self, raw: Tensor, scale: Tensor, levels: tuple[float, ...]) -> Tensor:
        from scipy.stats import nbinom

        mean, dispersion = (v.double().cpu().numpy()[..., None] for v in self._of(raw, scale))
        counts = nbinom.ppf(np.array(levels), 1 / dispersion, 1 / (1 + mean * dispersion))
        return torch.from_numpy(np.asarray(counts)).to(raw) / scale[..., None]

    def draw(self, raw: Tensor, scale: Tensor) -> Tensor:
        mean, dispersion = self._of(raw, scale)
        rate = torch.distributions.Gamma(1 / dispersion, 1 / (mean * dispersion)).sample()
        return torch.poisson(rate) / scale


OUTPUTS: dict[str, Output] = {
    each.name: each for each in (Quantiles(), Normal(), StudentT(), NegativeBinomial())
}


def output_of(name: str) -> Output:
    """The kind of forecast of that name.

    Raises:
        UserError: there is none.
    """
    if name not in OUTPUTS:
        raise UserError(f"output: expected one of {', '.join(OUTPUTS)}, got {name!r}")
    return OUTPUTS[name]


def interpolated(values: Tensor, at: tuple[float, ...], wanted: tuple[float, ...]) -> Tensor:
    """(..., wanted) quantiles between those that there are; beyond them, the last of them.

    Args:
        values: (..., at) quantiles.
        at, wanted: levels, rising.
    """
    places = values.new_tensor(at)
    u = values.new_tensor(wanted).clamp(at[0], at[-1])
    k = torch.searchsorted(places, u).clamp(1, len(at) - 1)
    part = (u - places[k - 1]) / (places[k] - places[k - 1])
    return values[..., k - 1] + part * (values[..., k] - values[..., k - 1])
