"""Where a layer's state stays, or hardly moves, while its input stays the same.

Sussillo and Barak 2013, "Opening the black box: low-dimensional dynamics in high-dimensional
recurrent neural networks"; Golub and Sussillo 2018, "FixedPointFinder".
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from glasscell.analysis.state_space.driven_run import DrivenRun
from glasscell.analysis.state_space.slow_points import descend, polish, residual, unique
from glasscell.analysis.state_space.step_map import StepMap, as_double
from glasscell.analysis.whole_numbers import whole_number
from glasscell.cells import Weights
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace

Stability = Literal["stable", "marginal", "saddle", "unstable"]
EDGE = 1e-6  # how far beyond the edge of what it can hold a state may lie by rounding
NEUTRAL = 1e-6  # an eigenvalue of modulus 1 is one within so much of it


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """M states that one step under a constant input leaves where they are, or nearly; float64.

    Fixed points come first, those that most starts ended at in front; then slow points, the
    slowest first.

    Attributes:
        states: (M, S) the points: (h, c) side by side in an LSTM, h in a GRU or RNN.
        hidden: (M, P) their hidden states.
        cell: (M, H) their cell states, None without.
        speed: (M,) |F(s) - s|, how far one step moves each, in the units of the state.
        fixed: (M,) whether it is a fixed point, and not a slow one only.
        starts: (M,) how many searches ended there.
        eigenvalues: (M, S) complex, of the Jacobian dF/ds there, largest modulus first. What is
            near the point moves as lambda^t: towards it where |lambda| < 1, turning if complex.
    """

    states: Tensor
    hidden: Tensor
    cell: Tensor | None
    speed: Tensor
    fixed: Tensor
    starts: Tensor
    eigenvalues: Tensor

    @property
    def q(self) -> Tensor:
        """(M,) 1/2 |F(s) - s|^2, which the search made small."""
        return self.speed.square() / 2

    @property
    def unstable(self) -> Tensor:
        """(M,) in how many directions states move away from the point: |lambda| > 1."""
        return (self.eigenvalues.abs() > 1 + NEUTRAL).sum(-1)

    @property
    def neutral(self) -> Tensor:
        """(M,) in how many directions they neither leave nor come back: |lambda| = 1."""
        return ((self.eigenvalues.abs() - 1).abs() <= NEUTRAL).sum(-1)

    @property
    def stability(self) -> tuple[Stability, ...]:
        """For each point "stable" if all states near it come back, "marginal" if none leave but
        some stay away, "saddle" if they leave in some directions, "unstable" if in all.
        """
        found: list[Stability] = []
        S = self.states.shape[-1]
        pairs = zip(self.unstable.tolist(), self.neutral.tolist(), strict=True)
        for unstable, neutral in pairs:
            if unstable:
                found.append("unstable" if unstable == S else "saddle")
            else:
                found.append("marginal" if neutral else "stable")
        return tuple(found)

    @property
    def time_constants(self) -> Tensor:
        """(M, S) steps, 1 / |ln |lambda||, in which a distance along each eigenvector shrinks, or
        for |lambda| > 1 grows, by a factor of e.
        """
        return 1 / self.eigenvalues.abs().log().abs()

    @property
    def periods(self) -> Tensor:
        """(M, S) steps for a turn about the point: 2 pi / |arg lambda|. Infinite for lambda > 0,
        2 for lambda < 0; complex ones come in pairs.
        """
        return 2 * math.pi / self.eigenvalues.angle().abs()

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, quantity: str) -> Tensor:
        """(M, .) "state", "hidden" or "cell" of the points."""
        known = {"state": self.states, "hidden": self.hidden, "cell": self.cell}
        found = known.get(quantity)
        if found is None:
            names = ", ".join(name for name, value in known.items() if value is not None)
            raise InputError(f"quantity: expected one of {names}, got {quantity!r}")
        return found


@torch.inference_mode(False)
def fixed_points(
    model: nn.Module | Weights,
    x: Tensor | None = None,
    *,
    layer: str | None = None,
    starts: LayerTrace | Tensor | None = None,
    n: int = 128,
    jitter: float = 0.1,
    slow: float = 1e-2,
    tolerance: float = 1e-9,
    merge: float = 1e-3,
    steps: int = 300,
    seed: int = 0,
) -> FixedPoints:
    """The fixed and slow points of a layer under a constant input, and how stable they are.

    From each of many starts, q = 1/2 |F(s) - s|^2 is made as small as it gets near there, F being
    one step of the layer (Sussillo and Barak 2013, eq. 5): by Adam, then by Levenberg and
    Marquardt's method, in float64, all starts side by side. Points that come out at the same
    place are one. Those at which the layer cannot be (beyond -1 and 1 in a GRU, where its gates
    may be shut for good) are none. What is never near a start may be missed, so it is best to
    start from states that the layer visits. An LSTM may have no fixed point: c can grow for ever.

    Args:
        model: a model with the layer in it, the layer by itself, or, with a trace as `starts`,
            its weights.
        x: (I,) what the layer reads at every step; zeros if absent. For the layers above the
            first this is what the layer below shows.
        layer: which layer, by its name in a trace; needed if there are several.
        starts: a recorded layer, whose states are drawn from; or (n, S) states to start at; if
            absent, random states of the size that gated layers have.
        n: how many starts to draw.
        jitter: how far drawn states are moved at random, as a part of each number's standard
            deviation over the trace.
        slow: points that a step moves further than this are no slow points and are left out.
        tolerance: a point is fixed if a step moves it less than this, in the units of the state
            (of its size, where that is above 1).
        merge: points closer than this are one.
        steps: of Adam.
        seed: of what is drawn.

    Raises:
        InputError: an input or starts of another size than the layer's, a run under an edit, no
            such layer, a number out of range, or NaN anywhere.

    Example:
        >>> with glasscell.trace(lstm) as trace:
        ...     y = lstm(x)
        >>> found = analysis.fixed_points(lstm, x[0, 0], starts=trace["l0"])
        >>> found.stability
        ('stable',)
        >>> found.time_constants.shape  # (M, S) steps; S = 16 numbers in (h, c)
        torch.Size([1, 16])
    """
    n, steps = whole_number("n", n, 1), whole_number("steps", steps, 0)
    for name, value in (("slow", slow), ("tolerance", tolerance)):
        if not value > 0:
            raise InputError(f"{name}: expected more than 0, got {value}")
    for name, value in (("jitter", jitter), ("merge", merge)):
        if not value >= 0:
            raise InputError(f"{name}: expected at least 0, got {value}")
    trace = starts if isinstance(starts, LayerTrace) else None
    step = StepMap.of(model, trace or layer)
    drive = step.drive(_constant(step, x))  # (G*H,)
    s = _starts(step, starts, n, jitter, seed)
    s = polish(step, drive, descend(step, drive, s, steps))
    speed = residual(step, drive, s).norm(dim=-1)  # (n,)
    low, high = step.reach
    inside = ((s >= low - EDGE) & (s <= high + EDGE)).all(-1)
    s, speed = s[inside & (speed <= slow)], speed[inside & (speed <= slow)]
    kept, counts = unique(s, speed, merge)
    fixed = speed[kept] <= tolerance * s[kept].norm(dim=-1).clamp(min=1)
    first = sorted(range(len(kept)), key=lambda m: -int(counts[m]) if fixed[m] else 1)
    kept, counts, fixed = kept[first], counts[first], fixed[first]
    points = s[kept]
    eigenvalues = [_eigenvalues(step, drive, point) for point in points]
    none = points.new_zeros(0, step.size, dtype=torch.complex128)
    return FixedPoints(
        states=points,
        hidden=points[:, : step.P],
        cell=points[:, step.memory] if step.cell.has_cell_state else None,
        speed=speed[kept],
        fixed=fixed,
        starts=counts,
        eigenvalues=torch.stack(eigenvalues) if eigenvalues else none,
    )


def _constant(step: StepMap, x: Tensor | None) -> Tensor:
    W = step.weights.W
    x = W.new_zeros(W.shape[1]) if x is None else x
    if not isinstance(x, Tensor) or tuple(x.shape) != (W.shape[1],):
        got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise InputError(f"x: expected ({W.shape[1]},), one input to {step.name}, got {got}")
    if not bool(x.isfinite().all()):
        raise InputError("x: expected finite numbers, got some that hold NaN or infinity")
    return x.to(W.device)


def _starts(
    step: StepMap, starts: LayerTrace | Tensor | None, n: int, jitter: float, seed: int
) -> Tensor:
    """(n, S) states to start at."""
    device, S = step.weights.U.device, step.size
    if isinstance(starts, Tensor):
        if starts.dim() != 2 or starts.shape[1] != S or not len(starts):
            raise InputError(f"starts: expected (n, {S}), got {tuple(starts.shape)}")
        if not bool(starts.isfinite().all()):
            raise InputError("starts: expected finite numbers, got some that hold NaN or infinity")
        return as_double(starts).to(device)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, S, dtype=torch.float64, generator=generator).to(device)
    if starts is None:
        return noise
    visited = DrivenRun(step, starts).after  # (N, S)
    rows = torch.randint(len(visited), (n,), generator=generator)
    return visited[rows.to(device)] + jitter * visited.std(0, correction=0) * noise


def _eigenvalues(step: StepMap, drive: Tensor, point: Tensor) -> Tensor:
    found = torch.linalg.eigvals(step.jacobians(drive[None], point[None])[0])
    return found[torch.argsort(found.abs(), descending=True, stable=True)]
