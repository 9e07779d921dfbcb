"""One step of a layer as a map of its state, and the derivative of that map.

The state s is all that a layer carries from step to step: (h, c) side by side in an LSTM, h in a
GRU or RNN. What a step makes of it depends on the input only through the *drive*, W x_t + b_x for
all gates.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import vmap

from glasscell.analysis.state_space.layer_weights import equations_of
from glasscell.cells import Cell, Step, Weights
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
    """

    name: str
    cell: Cell
    weights: Weights

    @classmethod
    def of(cls, model: nn.Module | Weights, layer: str | LayerTrace | None = None) -> "StepMap":
        """The map of one layer of a model; of a recorded layer also from its bare weights.

        Raises:
            InputError: no such layer, several and none named, weights that are not finite, or of
                other sizes than what was recorded.
        """
        name = layer.name if isinstance(layer, LayerTrace) else layer
        if isinstance(model, Weights):
            if not isinstance(layer, LayerTrace):
                raise InputError("model: expected a module, got weights without a trace")
            cell, w = layer.definition, model
        else:
            name, cell, w = equations_of(model, name)
        doubles = [None if v is None else as_double(v) for v in w]
        if not all(v is None or bool(v.isfinite().all()) for v in doubles):
            raise InputError(f"{name}: expected finite weights, got some that hold NaN or infinity")
        made = cls(str(name), cell, Weights(*doubles))  # type: ignore[arg-type]
        if isinstance(layer, LayerTrace):
            made._check(layer)
        return made

    @property
    def H(self) -> int:
        """Units."""
        return self.weights.U.shape[0] // self.cell.G

    @property
    def P(self) -> int:
        """Size of the hidden state."""
        return self.weights.U.shape[1]

    @property
    def size(self) -> int:
        """Numbers in a state: P + H in an LSTM, H in others."""
        return self.P + self.H if self.cell.has_cell_state else self.P

    @property
    def memory(self) -> slice:
        """Where in a state the units' memory is: c in an LSTM, h in others."""
        return slice(self.size - self.H, self.size)

    @property
    def reach(self) -> tuple[float, float]:
        """The least and the greatest number that a state can hold, after a start within them.

        A GRU's or RNN's h is made of values of its candidate, or hidden, which it lists last. An
        LSTM's c has no bounds.
        """
        no_bounds = (-math.inf, math.inf)
        return no_bounds if self.cell.has_cell_state else self.cell.gates[-1].squash.range

    def states(self, h: Tensor, c: Tensor | None) -> Tensor:
        """(..., S) states from h (..., P) and c (..., H)."""
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
        """
        G, w = self.cell.G, self.weights
        h, c = self._split(s)
        terms = recurrent_term(h, w, G).flatten(-2)
        own = [v.requires_grad_() for v in (terms, h.clone(), *([] if c is None else [c.clone()]))]
        with torch.enable_grad():
            states = vmap(self._unit)(drive, *own)
        U = w.U.unflatten(0, (G, -1))  # (G, H, P)
        rows = []
        for k, state in enumerate(states):
            du, dh, *dc = torch.autograd.grad(
                state,
                own,
                torch.ones_like(state),
                retain_graph=k + 1 < len(states),
                materialize_grads=True,
            )
            by_h = torch.einsum("ngh,ghp->nhp", du.unflatten(-1, (G, -1)), U)
            if self.P == self.H:
                by_h.diagonal(dim1=-2, dim2=-1).add_(dh)
            row = torch.cat((by_h, *map(torch.diag_embed, dc)), -1)  # (n, H, S)
            rows.append(w.V @ row if k == 0 and w.V is not None else row)
        return torch.cat(rows, -2)

    def _next(self, drive: Tensor, s: Tensor) -> Tensor:
        step = self.step(drive, s)
        return step.h if step.c is None else torch.cat((step.h, step.c), -1)

    def step(self, drive: Tensor, s: Tensor) -> Step:
        """All that one step computes from states (..., S) under one drive (G*H,)."""
        # The cell asks for an input and its weights: the input is 1, the weights are the drive.
        w = self.weights._replace(W=drive[:, None], b_x=None)
        return self.cell.step(s.new_ones(*s.shape[:-1], 1), *self._split(s), w)

    def _unit(
        self, drive: Tensor, terms: Tensor, h: Tensor, c: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """m (H,), the hidden state before any projection, and c (H,), the recurrent terms given."""
        w = self.weights
        w = w._replace(W=drive[:, None], b_x=None, U=torch.zeros_like(w.U), b_h=terms, V=None)
        step = self.cell.step(h.new_ones(1), h, c, w)
        return (step.h,) if step.c is None else (step.h, step.c)

    def _split(self, s: Tensor) -> tuple[Tensor, Tensor | None]:
        has_c = self.cell.has_cell_state
        return s[..., : self.P], s[..., self.P :] if has_c else None

    def _check(self, layer: LayerTrace) -> None:
        G, H, P = layer.definition.G, layer.hidden_size, layer.h_0.shape[-1]
        if tuple(self.weights.U.shape) != (G * H, P) or layer.kind != self.cell.kind:
            raise InputError(
                f"{layer.name}: expected the {layer.kind} that was recorded, with recurrent "
                f"weights ({G * H}, {P}), got a {self.cell.kind} with {tuple(self.weights.U.shape)}"
            )


def as_double(tensor: Tensor) -> Tensor:
    """The numbers alone, in float64, and such that derivatives by them can be taken."""
    double = tensor.detach().double()
    return double.clone() if double.is_inference() else double
