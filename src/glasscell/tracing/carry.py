"""What stays of a state and what is written to it, over a run's tokens, as the run had it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.cells import SLSTM, Cell, kept
from glasscell.cells.slstm import exponents, weights_of
from glasscell.engines import Packing, RunEdit
from glasscell.engines.call import of_carried
from glasscell.engines.noise import RunNoise, what_stays


def carry_of(
    cell: Cell,
    gates: Tensor,
    edits: Sequence[RunEdit],
    noise: RunNoise | None,
    scales: Callable[[Tensor | float], tuple[Tensor, Tensor] | None],
) -> tuple[Tensor, Tensor] | None:
    """(N, H) each, what stays of the state and what is written to it, over a run's tokens.

    Args:
        gates: (N, G, H) what the run went on with.
        scales: as `Scales`.
    """
    carry = cell.carry(gates)
    if carry is None:
        return None
    keep, write = carry
    N, H = keep.shape
    stays = None if noise is None else what_stays(noise, cell.state, N, H, keep)
    if stays is not None:
        held, moved = scales(stays) or (stays, 1 - stays)
        keep, write = held + moved * keep, moved * write
    for edit in edits:
        if edit.quantity == cell.state:
            scale, shift = (table.to(keep) for table in edit.of_tokens())
            keep, write = kept(scale) * keep, kept(scale) * write + shift
    return keep, write


@dataclass(frozen=True)
class Scales:
    """How much zoneout holds of the old state and takes of the new one, where a stabilizer says
    in what scale either is told.

    Attributes:
        pre: (N, G, H) what went into the gates.
        c: (N, C*H) what was carried, and (B, C*H) c_0 what it started from.
    """

    cell: Cell
    pre: Tensor | None
    c: Tensor | None
    c_0: Tensor | None
    packing: Packing
    reverse: bool
    edits: Sequence[RunEdit]

    def __call__(self, stays: Tensor | float) -> tuple[Tensor, Tensor] | None:
        """(N, H) each; None where nothing but `stays` says it."""
        if not isinstance(self.cell, SLSTM) or self.c is None or self.c_0 is None:
            return None
        assert self.pre is not None
        exact = torch.promote_types(self.c.dtype, torch.float32)
        c, c_0, pre = (t.detach().to(exact) for t in (self.c, self.c_0, self.pre))
        m, m_0 = (of_carried(t, self.cell, "stabilizer") for t in (c, c_0))
        m_prev = self.packing.previous(m, m_0, self.reverse)
        i_pre, f_pre, _, _ = pre.unbind(-2)
        m_new = self.cell.largest(i_pre, f_pre, m_prev)
        for edit in self.edits:
            if edit.quantity == "stabilizer":
                scale, shift = (table.to(m) for table in edit.of_tokens())
                m_new = kept(scale) * m_new + shift
        held, moved = exponents(stays, m_prev, m_new)
        return weights_of(held, moved, m)
