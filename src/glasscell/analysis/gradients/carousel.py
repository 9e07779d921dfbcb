"""What of a gradient comes along the state, from step to step: the constant error carousel."""

import torch
from torch import Tensor

from glasscell.engines import Call, Packing
from glasscell.engines.call import Steps
from glasscell.engines.replay import scan
from glasscell.tracing.carry import Scales, carry_of


def keep_of(call: Call, steps: Steps) -> Tensor | None:
    """(N, H) which part of the state each step keeps: f in an LSTM, z in a GRU, edits of the state
    and zoneout included. None for a cell that writes its whole state anew.

    Args:
        steps: of the call's tokens.
    """
    assert steps.gates is not None
    c, c_0, packing = steps.c, call.c_0, call.packing
    scales = Scales(call.cell, steps.pre, c, c_0, packing, call.reverse, call.edits)
    carry = carry_of(call.cell, steps.gates, call.edits, call.noise, scales)
    return None if carry is None else carry[0]


def carried(keep: Tensor, d_state: Tensor, packing: Packing) -> Tensor:
    """(N, H) keep_{t+1} * dL/dstate_{t+1}, from both at every step."""
    nothing = torch.zeros_like(d_state[: packing.B])
    return packing.previous(keep * d_state, nothing, reverse=True)


def all_the_way(keep: Tensor, d_state: Tensor, packing: Packing) -> Tensor:
    """(N, H) what of the gradient at each sequence's end comes all the way along the state: the
    product of keep over the steps after t, times dL/dstate at the end.
    """
    nothing = torch.zeros_like(d_state[: packing.B])
    keep_next = packing.previous(keep, nothing, reverse=True)
    at_the_end = packing.with_last(None, packing.last(d_state))
    return scan(keep_next, at_the_end, nothing, packing, reverse=True)
