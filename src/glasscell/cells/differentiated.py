"""The backward of a step that is not written out: autograd's, over that one step.

It is for cells of which there is no more than the forward: a step that a person wrote, and
variants whose products follow one another within a step.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient
from glasscell.cells.edits import StepEdits
from glasscell.cells.gates import Weights
from glasscell.cells.noise import StepNoise


def differentiated(
    cell: Cell,
    d: StepGradient,
    x: Tensor,
    h: Tensor,
    c: Tensor | None,
    w: Weights,
    edits: StepEdits,
    noise: StepNoise,
) -> StepBackward:
    """The backward of `cell.step`, which runs once more under autograd."""
    with torch.enable_grad():
        leaves = [None if t is None else t.detach().requires_grad_() for t in (x, h, c, *w)]
        x_, h_, c_, *weights = leaves
        noted = _Noting(edits.of)
        step = cell.step(x_, h_, c_, Weights(*weights), noted, noise)  # type: ignore[arg-type]
        quantities = _stacked(noted.found, cell, step)
    given = ((step.h, d.h), (step.c, d.c), (step.gates, d.gates), (step.pre, d.pre))
    reached = [(out, g) for out, g in given if out is not None and g is not None]
    inside = list(quantities.values())
    wanted = [t for t in leaves if t is not None]
    found = torch.autograd.grad(
        [out for out, _ in reached],
        [*wanted, *inside],
        [g for _, g in reached],
        allow_unused=True,
        materialize_grads=True,
    )
    of_leaves = iter(found[: len(wanted)])
    dx, dh, dc, *dw = (None if t is None else next(of_leaves) for t in leaves)
    of_quantities = dict(zip(quantities, found[len(wanted) :], strict=True))
    assert dx is not None
    assert dh is not None
    dgates = torch.stack([of_quantities[gate.name] for gate in cell.gates], -2)
    H = step.gates.shape[-1]
    none = x.new_empty(len(x), 0, H)
    return StepBackward(
        dx_term=none,
        dh_term=none,
        dh_prev=dh,
        dc_prev=dc,
        dc=torch.cat([of_quantities[name] for name in cell.carried], -1) if cell.carried else None,
        dgates=dgates,
        dx=dx,
        dw={
            letter: gradient
            for letter, gradient in zip(Weights._fields, dw, strict=True)
            if gradient is not None
        },
    )


class _Noting(StepEdits):
    """The same edits, which take note of every quantity, as the step goes on with it."""

    def __init__(self, of: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        super().__init__(of)
        self.found: dict[str, Tensor] = {}

    def apply(self, quantity: str, q: Tensor) -> Tensor:
        # a name of its own: what is edited nowhere may be known by several
        self.found[quantity] = super().apply(quantity, q).clone()
        return self.found[quantity]


def _stacked(found: dict[str, Tensor], cell: Cell, step: Step) -> dict[str, Tensor]:
    """The gates and carried states among what was noted; hidden states have dL/dh already."""
    wanted = [*(gate.name for gate in cell.gates), *cell.carried]
    if missing := [name for name in wanted if name not in found]:
        raise ValueError(
            f"{cell.kind}: its step must hand every gate and state through edits.apply, and did "
            f"not for {', '.join(missing)}"
        )
    return {name: found[name] for name in wanted}
