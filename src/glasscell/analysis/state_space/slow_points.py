"""Searching for states that a step hardly moves: minima of q = 1/2 |F(s) - s|^2.

Sussillo and Barak 2013, "Opening the black box: low-dimensional dynamics in high-dimensional
recurrent neural networks", section 2. Two methods, one after the other: Adam (Kingma and Ba 2015),
which gets from anywhere to near a minimum, and Levenberg and Marquardt's (Marquardt 1963), which
goes from there to the last digit.
"""

import torch
from torch import Tensor

from glasscell.analysis.state_space.step_map import StepMap

ROUNDING = 1e-14  # of a state of size 1: how still a state can be in float64
LEVEL = 1e-6  # a fall of q, as a part of it, that is none
LEAST_DAMPING = 1e-14  # less is lost in the rounding of what it is added to
MOST_NUMBERS = 2**23  # in the Jacobians held at a time


def residual(step: StepMap, drive: Tensor, s: Tensor) -> Tensor:
    """(n, S) F(s) - s: how a step under one drive (G*H,) moves each of n states."""
    return step(drive[None], s[None])[0] - s


def descend(step: StepMap, drive: Tensor, s: Tensor, steps: int, rate: float = 0.05) -> Tensor:
    """(n, S) states after `steps` of Adam on q, all n side by side, the rate falling to 0."""
    s = s.clamp(*step.reach)
    mean, square = torch.zeros_like(s), torch.zeros_like(s)
    best, least = s.clone(), s.new_full((len(s),), torch.inf)
    for k in range(steps):
        with torch.enable_grad():
            at = s.requires_grad_()
            q = residual(step, drive, at).square().sum(-1) / 2  # (n,)
            (gradient,) = torch.autograd.grad(q.sum(), at)
        s, q = s.detach(), q.detach()
        better = q < least
        least = torch.where(better, q, least)
        best = torch.where(better[:, None], s, best)
        mean = mean.lerp(gradient, 0.1)
        square = square.lerp(gradient.square(), 0.001)
        size = rate * (1 - k / steps)
        corrected = (square / (1 - 0.999 ** (k + 1))).sqrt() + 1e-12
        s = (s - size * mean / (1 - 0.9 ** (k + 1)) / corrected).clamp(*step.reach)
    return best


def polish(step: StepMap, drive: Tensor, s: Tensor, steps: int = 100) -> Tensor:
    """(n, S) the minima of q nearest to n states, to the precision of float64."""
    share = max(1, MOST_NUMBERS // s.shape[-1] ** 2)
    return torch.cat([_polish(step, drive, part.clone(), steps) for part in s.split(share)])


def _polish(step: StepMap, drive: Tensor, s: Tensor, steps: int) -> Tensor:
    n, S = s.shape
    eye = torch.eye(S, dtype=s.dtype, device=s.device)
    r = residual(step, drive, s)
    damping = s.new_full((n,), 1e-3)
    moving = torch.arange(n, device=s.device)
    for _ in range(steps):
        moving = moving[r[moving].norm(dim=-1) > ROUNDING * (1 + s[moving].norm(dim=-1))]
        if not len(moving):
            break
        at, rest = s[moving], r[moving]
        A = step.jacobians(drive.expand(len(at), -1), at) - eye  # (m, S, S)
        slope = (A.mT @ rest[..., None])[..., 0]  # (m, S) the gradient of q
        normal = A.mT @ A
        scale = normal.diagonal(dim1=-2, dim2=-1).mean(-1) + 1e-30  # (m,)
        shift = (damping[moving] * scale)[:, None, None]
        # Where a step keeps a state as it is, along some direction, J - I is singular, and so may
        # be the sum for all of its damping: no solution is then a move that makes nothing better.
        move, failed = torch.linalg.solve_ex(normal + shift * eye, slope)
        there = at - torch.where((failed != 0)[:, None], torch.nan, move)
        rest_there = residual(step, drive, there)
        q, q_there = rest.square().sum(-1), rest_there.square().sum(-1)
        better = q_there < q  # not, where it is NaN
        s[moving[better]], r[moving[better]] = there[better], rest_there[better]
        changed = damping[moving] * torch.where(better, 0.1, 10.0).to(s.dtype)
        damping[moving] = changed.clamp(min=LEAST_DAMPING)
        # On the way to a fixed point q falls many times over. Where it hardly falls any more, or
        # not along the gradient either, this is the minimum.
        level = better & (q - q_there < LEVEL * q)
        moving = moving[~(level | (damping[moving] > 1e12))]
    return s


def unique(s: Tensor, speed: Tensor, distance: float) -> tuple[Tensor, Tensor]:
    """Which of n states stand for all that are within a distance of them, the slowest first.

    Returns:
        (M,) rows of s, and (M,) how many each stands for, itself included.
    """
    left = torch.argsort(speed, stable=True)
    kept, counts = [], []
    while len(left):
        first = left[0]
        near = (s[left] - s[first]).norm(dim=-1) <= distance
        kept.append(int(first))
        counts.append(int(near.sum()))
        left = left[~near]
    return left.new_tensor(kept), left.new_tensor(counts)
