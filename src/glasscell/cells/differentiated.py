"""The backward of a step that is not written out: autograd's, over that one step.

It is for cells of which there is no more than the forward: a step that a person wrote.
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
    """The backward of `cell.step`, which runs once more under autograd.

    Raises:
        ValueError: a step that draws random numbers: it would draw others.
    """
    drawn = torch.get_rng_state()
    with torch.enable_grad():
        leaves = [None if t is None else t.detach().requires_grad_() for t in (x, h, c, *w)]
        x_, h_, c_, *weights = leaves
        noted = _Noting(edits.of)
        step = cell.step(x_, h_, c_, Weights(*weights), noted, noise)  # type: ignore[arg-type]
        quantities = _stacked(noted.found, cell, step)
    if not torch.equal(drawn, torch.get_rng_state()):
        raise ValueError(
            "step: it draws random numbers, so that what came back to each of its gates cannot be "
            "followed; a layer's own stochastic=, zoneout= and recurrent_dropout= can"
        )
    given = ((step.h, d.h), (step.c, d.c), (step.gates, d.gates), (step.pre, d.pre))
    reached = [(out, g) for out, g in given if out is not None and g is not None]
    inside = [tensor for tensors in quantities.values() for tensor in tensors]
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
    of_inside = iter(found[len(wanted) :])
    of_quantities = {
        name: torch.stack([next(of_inside) for _ in tensors]).sum(0)
        for name, tensors in quantities.items()
    }
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
    """The same edits, which take note of every quantity, as the step goes on with it: in more than
    one form, where what is shown is not what is held.
    """

    def __init__(self, of: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        super().__init__(of)
        self.found: dict[str, list[Tensor]] = {}

    def apply(self, quantity: str, q: Tensor) -> Tensor:
        # a tensor of its own: what is edited nowhere may be known by several names
        noted = super().apply(quantity, q).clone()
        self.found.setdefault(quantity, []).append(noted)
        return noted


def _stacked(found: dict[str, list[Tensor]], cell: Cell, step: Step) -> dict[str, list[Tensor]]:
    """The gates and carried states among what was noted; hidden states have dL/dh already."""
    wanted = [*(gate.name for gate in cell.gates), *cell.carried]
    if missing := [name for name in wanted if name not in found]:
        raise ValueError(
            f"{cell.kind}: its step must hand every gate and state through edits.apply, and did "
            f"not for {', '.join(missing)}"
        )
    return {name: found[name] for name in wanted}
