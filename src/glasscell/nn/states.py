"""A layer's states at its borders: what a caller gives as hx, and what a layer returns like it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasscell.engines import Record
from glasscell.nn import arguments

if TYPE_CHECKING:
    from glasscell.nn.recurrent import Recurrent

States = tuple[Tensor, Tensor | None]  # h (B, P) and c (B, C*H) of one layer in one direction


def initial_states(
    layer: Recurrent,
    hx: Tensor | tuple[Tensor, Tensor] | None,
    x: Tensor,
    B: int,
    batched: bool,
    placed: Callable[[Tensor], Tensor],
) -> list[States]:
    """The initial states of each layer and direction: what was given, checked, or zeros.

    Args:
        x: has the dtype and device of the zeros.
        B: sequences.
        batched: whether the caller's states have a B.
        placed: puts the caller's (L*D, B, .) states in the order of the sequences of x.

    Raises:
        InputError: states whose shape, dtype or device do not fit.
    """
    LD = layer.num_layers * (2 if layer.bidirectional else 1)
    if hx is None:
        # nobody writes to initial states, so the same zeros do for all of them
        h_0 = x.new_zeros(B, layer.output_size)
        if not layer.cell.has_cell_state:
            return [(h_0, None)] * LD
        carried = layer.carried_size
        return [(h_0, h_0 if carried == layer.output_size else x.new_zeros(B, carried))] * LD
    h_0, c_0 = arguments.check_states(layer, hx, B, batched)

    def each(states: Tensor) -> tuple[Tensor, ...]:
        return placed(states if batched else states.unsqueeze(1)).unbind(0)

    return list(zip(each(h_0), (None,) * LD if c_0 is None else each(c_0), strict=True))


def last_states(
    layer: Recurrent,
    records: Sequence[Record],
    batched: bool,
    callers: Callable[[Tensor], Tensor],
) -> Any:
    """h_n, or (h_n, c_n), shaped like hx, from the records of all layers and directions.

    Args:
        batched: whether the caller's states have a B.
        callers: puts (L*D, B, .) states in the caller's order.
    """

    def stacked(states: list[Any]) -> Tensor:
        stack = states[0].unsqueeze(0) if len(states) == 1 else torch.stack(states)
        stack = callers(stack)  # (L*D, B, .)
        return stack if batched else stack.squeeze(1)

    h_n = stacked([each.h_n for each in records])
    return (h_n, stacked([each.c_n for each in records])) if layer.cell.has_cell_state else h_n
