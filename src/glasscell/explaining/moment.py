"""One step of one cell for one sequence: what came in, and all that its equations made of it."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from glasscell.cells import Cell, Step, Weights
from glasscell.errors import InputError


@dataclass(frozen=True, eq=False)
class Moment:
    """One step, computed by the cell's own equations in float64.

    Attributes:
        cell: the equations.
        step: what they gave, without a batch: pre and gates (G, H), h (P,), c (H,), q (H,).
        h: (P,) the hidden state before.
        c: (H,) the cell state before, of cells that have one.
        x: (I,) the input; None where only a record of the step is there.
        weights: what the cell computed with; None likewise.
        name: which layer it is: "encoder.l0"; empty for a cell by itself.
        t: which step; None for a cell by itself.
        before: whose the states before are: "of step 4", "that the sequence started from".
        recorded: (h, and c if there is one) that a run of the model really gave at this step.
        edited: whether that run was edited at this layer, so that it may have given other numbers.
        inputs: what x is, in words: "the character 'a'"; prose.
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

    @classmethod
    def of(
        cls,
        cell: Cell,
        weights: Weights,
        x: Tensor,
        h: Tensor | None = None,
        c: Tensor | None = None,
        **more: object,
    ) -> "Moment":
        """The step that a cell takes from x (I,), h (P,) and c (H,); states absent are zeros.

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
                raise InputError(f"c: a {cell.kind} has no cell state; leave it out")
        else:
            c = torch.zeros(H).double() if c is None else _vector("c", c, H, "units")
        with torch.no_grad():
            step = cell.step(x[None], h[None], None if c is None else c[None], w)
        return cls(cell, _without_batch(step), h, c, x, w, **more)  # type: ignore[arg-type]

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
    if w.W.dim() != 2 or w.U.dim() != 2 or w.W.shape[0] % cell.G or w.W.shape[0] == 0:
        raise InputError(
            f"weights: expected W (G*H, I) and U (G*H, P) with G = {cell.G} gates, "
            f"got {tuple(w.W.shape)} and {tuple(w.U.shape)}"
        )
    H = w.W.shape[0] // cell.G
    P = w.U.shape[1]
    K = sum(gate.peephole is not None for gate in cell.gates)
    rows = (cell.G * H,)
    expected = {"U": (*rows, P), "b_x": rows, "b_h": rows, "V": (P, H), "p": (K, H)}
    for name, shape in expected.items():
        given = getattr(w, name)
        if given is not None and tuple(given.shape) != shape:
            raise InputError(f"weights.{name}: expected {shape}, got {tuple(given.shape)}")
    if w.p is None and K:
        raise InputError(f"weights.p: expected {(K, H)}, one row a peephole, got none")
    if w.V is None and P != H:
        raise InputError(f"weights.U: expected {(cell.G * H, H)}, got {tuple(w.U.shape)}")
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
