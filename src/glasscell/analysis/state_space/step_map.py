"""One step of a layer as a map of its state, and the derivative of that map.

The state s is all that a layer carries from step to step: (h, c) side by side in an LSTM, h in a
GRU or RNN, and all that is carried beside h in a cell that carries more. What a step makes of it
depends on the input only through the *drive*, W x_t + b_x for all gates.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

from glasscell.analysis.state_space.layer_weights import Equations, equations_of
from glasscell.cells import (
    GRU,
    LSTM,
    NOISELESS,
    RNN,
    SLSTM,
    UNEDITED,
    Cell,
    GateRecurrence,
    Step,
    StepNoise,
    Weights,
    spec,
)
from glasscell.cells.gates import input_term, recurrent_term
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace


@dataclass(frozen=True, eq=False)
class StepMap:
    """s_{t-1} -> s_t of one layer, in float64, for many states at once.

    Attributes:
        name: the layer's, for messages.
        cell: its equations.
        weights: its weights, float64 and cut off from autograd.
        noise: what zoneout lets stay, as outside training.
    """

    name: str
    cell: Cell
    weights: Weights
    noise: StepNoise = NOISELESS

    @classmethod
    def of(cls, model: nn.Module | Weights, layer: str | LayerTrace | None = None) -> "StepMap":
        """The map of one layer of a model; of a recorded layer also from its bare weights.

        Raises:
            InputError: no such layer, several and none named, weights that are not finite, or of
                other sizes than what was recorded; a cell that has no drive.
        """
        name = layer.name if isinstance(layer, LayerTrace) else layer
        if isinstance(model, Weights):
            if not isinstance(layer, LayerTrace):
                raise InputError("model: expected a module, got weights without a trace")
            zoneout = (0.0, 0.0) if layer.noise is None else layer.noise.zoneout
            found = Equations(layer.name, layer.definition, model, zoneout)
        else:
            found = equations_of(model, name)
        name, cell, w, zoneout = found
        _expect_drive(name, cell)
        doubles = [None if v is None else as_double(v) for v in w]
        if not all(v is None or bool(v.isfinite().all()) for v in doubles):
            raise InputError(f"{name}: expected finite weights, got some that hold NaN or infinity")
        stays = {state: k for state, k in zip(("cell", "hidden"), zoneout, strict=True) if k}
        noise = StepNoise(stays=stays) if stays else NOISELESS
        made = cls(name, cell, Weights(*doubles), noise)  # type: ignore[arg-type]
        if isinstance(layer, LayerTrace):
            made._check(layer)
        return made

    @property
    def H(self) -> int:
        """Units."""
        return self.weights.W.shape[0] // self.cell.G

    @property
    def P(self) -> int:
        """Size of the hidden state."""
        return self.weights.U.shape[1]

    @property
    def size(self) -> int:
        """Numbers in a state: P + H in an LSTM, H in a GRU or RNN, P + C*H in others."""
        return self.P + self.cell.C * self.H

    @property
    def memory(self) -> slice:
        """Where in a state the units' memory is: c in an LSTM, h in others."""
        start = self.P if self.cell.has_cell_state else 0
        return slice(start, start + self.H)

    @property
    def reach(self) -> tuple[float, float]:
        """The least and the greatest number that a state can hold, after a start within them.

        A GRU's or RNN's h is made of values of its candidate, or hidden, which it lists last. An
        LSTM's c has no bounds.
        """
        no_bounds = (-math.inf, math.inf)
        return no_bounds if self.cell.has_cell_state else self.cell.gates[-1].squash.range

    def states(self, h: Tensor, c: Tensor | None) -> Tensor:
        """(..., S) states from h (..., P) and c (..., C*H)."""
        parts = [h] if c is None else [h, c]
        return torch.cat([as_double(part) for part in parts], -1)

    def drive(self, x: Tensor) -> Tensor:
        """(..., G*H) what an input (..., I) adds to the pre-activations: W x + b_x."""
        return input_term(as_double(x), self.weights, self.cell.G).flatten(-2)

    def __call__(self, drive: Tensor, s: Tensor) -> Tensor:
        """The states one step later: (n, ..., S), n of them, or groups that share a drive.

        Args:
            drive: (n, G*H) what the input adds.
            s: (n, ..., S) the states before.
        """
        return vmap(self._next)(drive, s)

    def jacobians(self, drive: Tensor, s: Tensor) -> Tensor:
        """(n, S, S) d s_t / d s_{t-1}, row by row, at n states (n, S) under n drives (n, G*H).

        A unit meets the others only in the recurrent terms U h + b_h. Given those it is on its
        own, so the derivatives of all units come from one backward pass for each state:

            dm/dh = sum over gates g of diag(dm/du_g) U_g + diag(dm/dh),    u_g = U_g h + b_g

        Where units meet elsewhere too, each number of a state takes a backward pass.
        """
        if not self._meets_in_terms_alone:
            return vmap(jacrev(self._next, argnums=1))(drive, s)
        w, R, H = self.weights, len(self.cell.gates_in("U")), self.H
        h, c = self._split(s)
        terms = recurrent_term(h, w, R).flatten(-2) if R else h.new_zeros(len(h), 0)
        parts = [] if c is None else c.chunk(self.cell.C, -1)
        own = [v.detach().clone().requires_grad_() for v in (terms, h, *parts)]
        with torch.enable_grad():
            states = vmap(self._unit)(drive, *own)
        U = w.U.view(R, H, self.P)
        rows = []
        for k, state in enumerate(states):
            du, dh, *dc = torch.autograd.grad(
                state,
                own,
                torch.ones_like(state),
                retain_graph=k + 1 < len(states),
                materialize_grads=True,
            )
            by_h = torch.einsum("ngh,ghp->nhp", du.view(len(h), R, H), U)
            if self.P == H:
                by_h.diagonal(dim1=-2, dim2=-1).add_(dh)
            row = torch.cat((by_h, *map(torch.diag_embed, dc)), -1)  # (n, H, S)
            rows.append(w.V @ row if k == 0 and w.V is not None else row)
        return torch.cat(rows, -2)

    @property
    def _meets_in_terms_alone(self) -> bool:
        """Whether units meet nowhere but in the recurrent terms, and in a projection at the end."""
        cell = self.cell
        if isinstance(cell, GateRecurrence):
            return False
        if isinstance(cell, GRU) and cell.reset_gate is not None and not cell.reset_after:
            return False
        return self.weights.V is None or "hidden" not in self.noise.stays

    def _next(self, drive: Tensor, s: Tensor) -> Tensor:
        step = self.step(drive, s)
        return step.h if step.c is None else torch.cat((step.h, step.c), -1)

    def step(self, drive: Tensor, s: Tensor) -> Step:
        """All that one step computes from states (..., S) under one drive (G*H,)."""
        # The cell asks for an input and its weights: the input is 1, the weights are the drive.
        w = self.weights._replace(W=drive[:, None], b_x=None)
        x = s.new_ones(*s.shape[:-1], 1)
        return self.cell.step(x, *self._split(s), w, UNEDITED, self.noise)

    def _unit(self, drive: Tensor, terms: Tensor, h: Tensor, *c: Tensor) -> tuple[Tensor, ...]:
        """m (H,), the hidden state before any projection, and each of the C vectors (H,) that are
        carried beside it, the recurrent terms given.
        """
        w = self.weights
        b_h = terms if len(w.U) else None
        w = w._replace(W=drive[:, None], b_x=None, U=torch.zeros_like(w.U), b_h=b_h, V=None)
        before = torch.cat(c, -1) if c else None
        step = self.cell.step(h.new_ones(1), h, before, w, UNEDITED, self.noise)
        return (step.h,) if step.c is None else (step.h, *step.c.chunk(self.cell.C, -1))

    def _split(self, s: Tensor) -> tuple[Tensor, Tensor | None]:
        has_c = self.cell.has_cell_state
        return s[..., : self.P], s[..., self.P :] if has_c else None

    def _check(self, layer: LayerTrace) -> None:
        R = len(layer.definition.gates_in("U"))
        H, P = layer.hidden_size, layer.h_0.shape[-1]
        if tuple(self.weights.U.shape) != (R * H, P) or layer.kind != self.cell.kind:
            raise InputError(
                f"{layer.name}: expected what was recorded, {layer.definition.noun} with recurrent "
                f"weights ({R * H}, {P}), got {self.cell.noun} with {tuple(self.weights.U.shape)}"
            )
        if layer.definition != self.cell:
            there, here = (spec.line_of(cell) for cell in (layer.definition, self.cell))
            raise InputError(f"{layer.name}: expected what was recorded, {there}, got {here}")


def _expect_drive(name: str, cell: Cell) -> None:
    """Refuses cells that read their input in another way than through W x_t + b_x."""
    if not isinstance(cell, (LSTM, GRU, RNN, SLSTM, GateRecurrence)):
        raise InputError(
            f"{name}: {cell.noun} reads its input in another way than through W x + b alone, so "
            "a step of it is no map of its state that this analysis knows; it is for an LSTM, a "
            "GRU, an RNN and an sLSTM, with the variants that are configurations of them"
        )


def as_double(tensor: Tensor) -> Tensor:
    """The numbers alone, in float64, and such that derivatives by them can be taken."""
    double = tensor.detach().double()
    return double.clone() if double.is_inference() else double
