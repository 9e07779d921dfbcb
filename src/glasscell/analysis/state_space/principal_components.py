"""The few directions in which a layer's states differ most: its path, small enough to draw."""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.analysis.finite import expect_finite
from glasscell.analysis.state_space.fixed_points import FixedPoints
from glasscell.analysis.whole_numbers import whole_number
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """k orthonormal directions, those of most variance first; everything in float64.

    Attributes:
        quantity: what they are directions of: "state", "hidden", "cell" or a gate.
        mean: (S,) of all steps.
        directions: (k, S) of length 1. In each the number largest in size is positive.
        variance: (k,) of the steps along each.
        share: (k,) of the whole variance, 0 to 1.
    """

    quantity: str
    mean: Tensor
    directions: Tensor
    variance: Tensor
    share: Tensor

    def project(self, points: Tensor | FixedPoints) -> Tensor:
        """(..., k) where points (..., S) are along the directions, seen from the mean."""
        if isinstance(points, FixedPoints):
            points = points[self.quantity]
        S = len(self.mean)
        if points.shape[-1] != S:
            raise InputError(f"points: expected (..., {S}), got {tuple(points.shape)}")
        return (points.detach().double() - self.mean) @ self.directions.T

    def sequence(self, layer: LayerTrace, b: int = 0) -> Tensor:
        """(T_b, k) the path of sequence b of the caller's batch."""
        parts = [layer.sequence(name, b) for name in _parts(layer, self.quantity)]
        return self.project(torch.cat(parts, -1))


def principal_components(
    layer: LayerTrace, k: int = 3, *, quantity: str = "state"
) -> PrincipalComponents:
    """The principal components of a layer's states over the real steps of all sequences.

    Args:
        layer: a recorded layer.
        k: how many; no more than there are numbers in a state.
        quantity: "state" for all that is carried from step to step, (h, c) side by side in an
            LSTM; or one of `layer.quantities`.

    Raises:
        InputError: k out of range, no such quantity, fewer than two steps, or NaN in them.

    Example:
        >>> with glasscell.trace(lstm) as trace:
        ...     y = lstm(x)
        >>> components = analysis.principal_components(trace["l0"], k=2)
        >>> components.sequence(trace["l0"], b=1).shape  # the path of sequence 1, in a plane
        torch.Size([35, 2])
        >>> found = analysis.fixed_points(lstm, starts=trace["l0"])
        >>> components.project(found).shape  # fixed points, in the same plane
        torch.Size([1, 2])
    """
    parts = [layer.tokens(name).detach().double() for name in _parts(layer, quantity)]
    values = torch.cat(parts, -1)  # (N, S)
    N, S = values.shape
    k = whole_number("k", k, 1, S)
    if N < 2:
        raise InputError(f"layer: expected at least 2 steps, as variance is asked for, got {N}")
    what = "states" if quantity == "state" else quantity
    expect_finite(layer.name, what, values, layer.layout, reverse=layer.reverse)
    mean = values.mean(0)
    # The eigenvectors of the covariance, by way of its root, which keeps the small ones exact.
    _, root, directions = torch.linalg.svd(values - mean, full_matrices=N < S)
    variance = values.new_zeros(S)
    variance[: len(root)] = root.square() / (N - 1)
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    directions = directions * torch.where(largest < 0, -1.0, 1.0)
    total = variance.sum()
    share = variance / total if total > 0 else torch.zeros_like(variance)
    return PrincipalComponents(quantity, mean, directions[:k], variance[:k], share[:k])


def _parts(layer: LayerTrace, quantity: str) -> tuple[str, ...]:
    if quantity != "state":
        return (quantity,)
    return ("hidden", *layer.definition.carried)
