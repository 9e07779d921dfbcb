"""The dynamical view of a run: its path in principal components, among its fixed points."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glasscell.analysis.state_space.fixed_points import FixedPoints, fixed_points
from glasscell.analysis.state_space.principal_components import (
    PrincipalComponents,
    principal_components,
)
from glasscell.cells import Weights
from glasscell.tracing import LayerTrace


@dataclass(frozen=True, eq=False)
class Dynamics:
    """How a layer's state moved, and where it would come to rest; everything in float64.

    Attributes:
        layer: the run that was looked at.
        components: the k directions in which its states differ most.
        points: where the state stays, or hardly moves, while the input stays the same.
    """

    layer: LayerTrace
    components: PrincipalComponents
    points: FixedPoints

    def path(self, b: int = 0) -> Tensor:
        """(T_b, k) the path of sequence b of the caller's batch, along the components."""
        return self.components.sequence(self.layer, b)

    @property
    def places(self) -> Tensor:
        """(M, k) where the points are, along the components."""
        return self.components.project(self.points)


@torch.inference_mode(False)
def dynamics(
    model: nn.Module | Weights,
    layer: LayerTrace,
    x: Tensor | None = None,
    *,
    k: int = 3,
    **options: Any,
) -> Dynamics:
    """A recorded layer as a dynamical system (Sussillo and Barak 2013): the trajectory of its
    sequences in k principal components, and its fixed and slow points under a constant input.

    Args:
        model: the module that was recorded, or the layer's weights.
        layer: what was recorded; its states are where the search for points starts.
        x: (I,) the constant input, as the layer reads it; zeros if absent.
        k: how many components.
        options: of `fixed_points`, such as `n`, `slow`, `tolerance` and `seed`.

    Raises:
        InputError: as `fixed_points` and `principal_components`.

    Example:
        >>> found = analysis.dynamics(lstm, trace["l0"])
        >>> found.path(b=1).shape, found.places.shape  # of sequence 1; of the one fixed point
        (torch.Size([35, 3]), torch.Size([1, 3]))
        >>> found.points.stability
        ('stable',)
    """
    points = fixed_points(model, x, starts=layer, **options)
    return Dynamics(layer, principal_components(layer, k), points)
