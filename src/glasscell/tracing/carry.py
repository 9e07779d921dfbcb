"""What stays of a state and what is written to it, over a run's tokens, as the run had it."""

from collections.abc import Sequence

from torch import Tensor

from glasscell.cells import Cell, kept
from glasscell.engines import Packing, RunEdit
from glasscell.engines.call import of_carried
from glasscell.engines.noise import RunNoise, what_stays


def carry_of(
    cell: Cell,
    gates: Tensor,
    edits: Sequence[RunEdit],
    noise: RunNoise | None,
    scale: Tensor | float,
) -> tuple[Tensor, Tensor] | None:
    """(N, H) each, what stays of the state and what is written to it, over a run's tokens.

    Args:
        gates: (N, G, H) what the run went on with.
        scale: what `scale_of` gives.
    """
    carry = cell.carry(gates)
    if carry is None:
        return None
    keep, write = carry
    N, H = keep.shape
    held = None if noise is None else what_stays(noise, cell.state, N, H, keep)
    if held is not None:
        scale = scale.to(keep) if isinstance(scale, Tensor) else scale
        keep, write = held * scale + (1 - held) * keep, (1 - held) * write
    for edit in edits:
        if edit.quantity == cell.state:
            scale, shift = (table.to(keep) for table in edit.of_tokens())
            keep, write = kept(scale) * keep, kept(scale) * write + shift
    return keep, write


def scale_of(
    cell: Cell, c: Tensor | None, c_0: Tensor | None, packing: Packing, reverse: bool
) -> Tensor | float:
    """(N, H) what 1 of the old state is in the scale of the new one: exp(m_{t-1} - m_t) where a
    stabilizer m says the scale, else 1.

    Args:
        c: (N, C*H) what was carried, and (B, C*H) c_0 what it started from.
    """
    if c is None or c_0 is None or "stabilizer" not in cell.carried:
        return 1.0
    m, m_0 = (of_carried(t, cell, "stabilizer").detach() for t in (c, c_0.to(c)))
    return (packing.previous(m, m_0, reverse) - m).exp()
