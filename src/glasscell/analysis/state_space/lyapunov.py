"""Lyapunov exponents: how fast neighbouring states part or meet while a layer reads its input.

Benettin et al. 1980, "Lyapunov characteristic exponents for smooth dynamical systems", part 2;
for recurrent networks Vogt et al. 2022, "On Lyapunov exponents for RNNs", and Engelken et al.
2023, "Lyapunov spectra of chaotic recurrent neural networks".
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from glasscell.analysis.state_space.driven_run import DrivenRun
from glasscell.analysis.whole_numbers import whole_number
from glasscell.cells import Weights
from glasscell.tracing import LayerTrace

BLOCKS = 20  # at least so many stretches, all sequences together, tell how sure an estimate is


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """The exponents of a driven run, largest first, and how far they have converged; float64.

    Attributes:
        exponents: (k,) nats per step: a small displacement grows as exp(exponent * steps). Below
            0 it dies out, and what made it is forgotten; above 0 it grows (chaos); -inf along
            directions that one step wipes out.
        standard_error: (k,) of the exponents, from the scatter of `BLOCKS` or more stretches of
            the run; NaN for -inf, and where there is one stretch only. Right where a stretch is
            longer than the run's correlations.
        growth: (T, B, k) ln of the growth at each step counted in the order of the recurrence,
            step 0 the first after the warm-up, of each sequence in the caller's order; NaN after
            its end.
    """

    exponents: Tensor
    standard_error: Tensor
    growth: Tensor

    @property
    def running(self) -> Tensor:
        """(T, k) the estimate from the steps up to each: level where it has converged."""
        counted = ~self.growth[..., :1].isnan()
        sums = torch.where(counted, self.growth, 0.0).sum(1).cumsum(0)  # (T, k)
        return sums / counted.sum((1, 2)).cumsum(0)[:, None]

    @property
    def by_sequence(self) -> Tensor:
        """(B, k) the estimate from each sequence alone; NaN where all of it was warm-up."""
        return self.growth.nanmean(0)

    @property
    def dimension(self) -> float:
        """The Kaplan-Yorke dimension of what the states are drawn to, among the k directions.

        How many exponents can be summed, largest first, before the sum falls below 0, and the
        part of the next that brings it there (Kaplan and Yorke 1979). 0 where all are negative:
        the input alone decides the state. k where the sum of all k is not negative yet.
        """
        sums = self.exponents.cumsum(0)
        held = int((sums >= 0).cumprod(0).sum())
        if held == 0 or held == len(sums):
            return float(held)
        return held + float(sums[held - 1] / self.exponents[held].abs())


@torch.inference_mode(False)
def lyapunov_exponents(
    model: nn.Module | Weights,
    run: Tensor | PackedSequence | LayerTrace,
    *,
    layer: str | None = None,
    k: int | None = None,
    warm_up: int = 0,
    seed: int = 0,
) -> LyapunovSpectrum:
    """The Lyapunov spectrum of a layer along the run that its input drives it through.

    k displacements, orthonormal at the start, are pushed through the derivative of each step,
    J_t = d s_t / d s_{t-1}, and made orthonormal again, J_t Q_{t-1} = Q_t R_t. The exponents are
    the means over steps of ln |R_ii|. All sequences run side by side. The state s is (h, c) in an
    LSTM, P + H numbers, and h in a GRU or RNN. Everything is computed in float64.

    Args:
        model: the model that was recorded, its layer by itself, or the layer's weights.
        run: the recorded layer; or an input for the model to read now.
        layer: with an input, which layer, by its name in a trace; needed if there are several.
        k: how many exponents, the largest ones; all if absent. Time grows as k^2.
        warm_up: steps of each sequence to leave out at its start, while the state leaves where
            it began and the displacements turn to the directions that grow most. The error of
            the estimate otherwise falls as 1 / steps.
        seed: of the displacements' random directions at the start.

    Returns:
        The spectrum, with its convergence.

    Raises:
        InputError: k or warm_up out of range, every sequence shorter than the warm-up, a layer
            that is not the model's, or a run under an edit or with NaN in it.

    Example:
        >>> with glasscell.trace(lstm) as trace:
        ...     y = lstm(x)
        >>> spectrum = analysis.lyapunov_exponents(lstm, trace["l0"], k=3, warm_up=5)
        >>> spectrum.exponents.shape, spectrum.running.shape
        (torch.Size([3]), torch.Size([30, 3]))
        >>> bool(spectrum.exponents[0] < 0)  # an untrained layer forgets where it began
        True
    """
    driven = DrivenRun.of(model, run, layer)
    S, packing = driven.map.size, driven.packing
    k = S if k is None else whole_number("k", k, 1, S, ", the size of the state")
    why = f", as the longest sequence has {packing.T} steps"
    warm_up = whole_number("warm_up", warm_up, 0, packing.T - 1, why)
    growth = _growth(driven, k, seed)  # (T, B, k)
    growth = growth[warm_up:]
    mean = growth.flatten(0, 1).nanmean(0)
    order = torch.argsort(mean, descending=True, stable=True)
    mean, growth = mean[order], growth[..., order]
    if driven.trace.layout.inverse is not None:
        growth = growth[:, driven.trace.layout.inverse.to(growth.device)]
    return LyapunovSpectrum(mean, _standard_error(growth, mean), growth)


def _growth(driven: DrivenRun, k: int, seed: int) -> Tensor:
    """(T, B, k) ln |R_ii| of each step since its sequence's start, longest sequence first."""
    packing, before, drive = driven.packing, driven.before, driven.drive
    B, S = packing.B, driven.map.size
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(S, k, dtype=torch.float64, generator=generator).to(before.device)
    Q = torch.linalg.qr(start)[0].repeat(B, 1, 1)  # (B, S, k)
    growth = before.new_full((packing.T, B, k), math.nan)
    since = torch.zeros(B, dtype=torch.int64)  # steps that each sequence has taken
    for rows in packing.steps(driven.trace.reverse):
        n = rows.stop - rows.start
        J = driven.map.jacobians(drive[rows], before[rows])  # (n, S, S)
        Q[:n], R = torch.linalg.qr(J @ Q[:n])
        growth[since[:n], torch.arange(n)] = R.diagonal(dim1=-2, dim2=-1).abs().log()
        since[:n] += 1
    return growth


def _standard_error(growth: Tensor, mean: Tensor) -> Tensor:
    """(k,) of the mean, by batch means: each stretch counts by its steps."""
    B = growth.shape[1]
    steps = (~growth[..., 0].isnan()).sum(0)  # (B,) of each sequence
    per_sequence = -(-BLOCKS // B)
    means, weights = [], []
    for b in range(B):
        n = int(steps[b])
        if n:
            for stretch in growth[:n, b].tensor_split(min(n, per_sequence)):
                means.append(stretch.mean(0))
                weights.append(len(stretch))
    if len(means) < 2:
        return torch.full_like(mean, math.nan)
    w = mean.new_tensor(weights)[:, None] / sum(weights)
    variance = (w.square() * (torch.stack(means) - mean).square()).sum(0)
    return (variance * len(means) / (len(means) - 1)).sqrt()
