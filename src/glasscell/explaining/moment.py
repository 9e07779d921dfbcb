"""One step of one cell for one sequence: what came in, and all that its equations made of it."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from glasscell.cells import NOISELESS, Cell, Step, StepNoise, Weights
from glasscell.errors import InputError


@dataclass(frozen=True, eq=False)
class Moment:
    """One step, computed by the cell's own equations in float64.

    Attributes:
        cell: the equations.
        step: what they gave, without a batch: pre and gates (G, H), h (P,), c (C*H,), q (H,).
        h: (P,) the hidden state before.
        c: (C*H,) the cell state before, and what else the cell carries, of cells that have one.
        x: (I,) the input; None where only a record of the step is there.
        weights: what the cell computed with; None likewise.
        name: which layer it is: "encoder.l0"; empty for a cell by itself.
        t: which step; None for a cell by itself.
        before: whose the states before are: "of step 4", "that the sequence started from".
        recorded: (h, and c if there is one) that a run of the model really gave at this step.
        edited: whether that run was edited at this layer, so that it may have given other numbers.
        inputs: what x is, in words: "the character 'a'"; prose.
        noise: what chance did in this step, without a batch.
        dropped: whether the run left out some of the recurrent weights.
    """

    cell: Cell
    step: Step
    h: Tensor
    c: Tensor | None = None
    x: Tensor | None = None
    weights: Weights | None = None
    name: str = ""
    t: int | None = None
    before: str = "of the step before"
    recorded: tuple[Tensor, ...] = ()
    edited: bool = False
    inputs: str = ""
    noise: StepNoise = NOISELESS
    dropped: bool = False

    @classmethod
    def of(
        cls,
        cell: Cell,
        weights: Weights,
        x: Tensor,
        h: Tensor | None = None,
        c: Tensor | None = None,
        noise: StepNoise = NOISELESS,
        **more: object,
    ) -> "Moment":
        """The step that a cell takes from x (I,), h (P,) and c (C*H,); states absent are zeros.

        Args:
            noise: of this one sequence.

        Raises:
            InputError: sizes that do not fit.
        """
        w = Weights(*(None if v is None else v.detach().double().cpu() for v in weights))  # type: ignore[arg-type]
        H = _units(cell, w)
        I, P = w.W.shape[1], w.U.shape[1]
        x = _vector("x", x, I, "inputs")
        h = torch.zeros(P).double() if h is None else _vector("h", h, P, "hidden values")
        if not cell.has_cell_state:
            if c is not None:
                raise InputError(f"c: {cell.noun} has no cell state; leave it out")
        else:
            n, told = cell.C * H, "units" if cell.C == 1 else f"units of {', '.join(cell.carried)}"
            c = torch.zeros(n).double() if c is None else _vector("c", c, n, told)
        before = x[None], h[None], None if c is None else c[None], w
        with torch.no_grad():
            if noise is NOISELESS:
                step = cell.step(*before)
            else:
                step = cell.step(*before, noise=_precise(noise))
        return cls(
            cell, _without_batch(step), h, c, x, w, noise=one_sequences(noise), **more  # type: ignore[arg-type]
        )  # fmt: skip

    @property
    def H(self) -> int:
        """The number of units."""
        return self.step.pre.shape[-1]

    @property
    def P(self) -> int:
        """The size of the hidden state."""
        return self.h.shape[-1]


def _units(cell: Cell, w: Weights) -> int:
    """H, once all weights are known to belong together."""
    X, R = len(cell.gates_in("W")), len(cell.gates_in("U"))
    if w.W.dim() != 2 or w.U.dim() != 2 or w.W.shape[0] % X or w.W.shape[0] == 0:
        raise InputError(
            f"weights: expected W (X*H, I) and U (R*H, P) where X = {X} and R = {R} gates read x "
            f"and h, got {tuple(w.W.shape)} and {tuple(w.U.shape)}"
        )
    H, P = w.W.shape[0] // X, w.U.shape[1]
    try:
        expected = cell.shapes(w.W.shape[1], H, P)
    except ValueError as error:
        raise InputError(str(error)) from None
    if w.V is not None:
        expected["V"] = (P, H)
    for name, given in zip(w._fields, w, strict=True):
        if given is None:
            if name in expected and not name.startswith("b_"):
                raise InputError(f"weights.{name}: expected {expected[name]}, got none")
        elif name in expected and tuple(given.shape) != expected[name]:
            raise InputError(f"weights.{name}: expected {expected[name]}, got {tuple(given.shape)}")
        elif name not in expected:
            raise InputError(f"weights.{name}: {cell.noun} has none, got {tuple(given.shape)}")
    return H


def _vector(name: str, given: object, n: int, what: str) -> Tensor:
    tensor = torch.as_tensor(given).detach().double().cpu()
    if tensor.shape == (1, n):  # a batch of one
        tensor = tensor[0]
    if tensor.shape != (n,):
        raise InputError(f"{name}: expected ({n},), the {what}, got {tuple(tensor.shape)}")
    return tensor


def _without_batch(step: Step) -> Step:
    values = {f.name: getattr(step, f.name) for f in fields(step)}
    return replace(step, **{name: None if v is None else v[0] for name, v in values.items()})


def _precise(noise: StepNoise) -> StepNoise:
    """The same in float64."""
    if noise is NOISELESS:
        return noise

    def exact(v: Tensor) -> Tensor:
        return v.detach().double().cpu()

    draws = {name: exact(u) for name, u in noise.draws.items()}
    stays = {state: exact(k) if isinstance(k, Tensor) else k for state, k in noise.stays.items()}
    return StepNoise(draws, stays, None if noise.mask is None else exact(noise.mask))


def one_sequences(noise: StepNoise) -> StepNoise:
    """The noise of a single sequence in float64, without a batch."""
    if noise is NOISELESS:
        return noise
    noise = _precise(noise)
    draws = {name: u[0] for name, u in noise.draws.items()}
    stays = {state: k[0] if isinstance(k, Tensor) else k for state, k in noise.stays.items()}
    return StepNoise(draws, stays, None if noise.mask is None else noise.mask[0])
