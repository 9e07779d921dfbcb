"""Replay: every gate and state of a run, from its hidden states alone.

Given the outputs h_t of any LSTM, GRU or RNN, even a black box, what goes into its gates is one
matrix product for all steps at once, W x_t + U h_{t-1} + b; and the cell state follows from the
gates by an element-wise scan, c_t = f_t * c_{t-1} + i_t * g_t. There is no recurrence to run
again. Everything stays connected to autograd, through the gates and through the hidden states.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from glasscell.cells import Cell
from glasscell.engines.call import Call, Record
from glasscell.engines.packing import Packing
from glasscell.engines.transforms import active_transform


def can_replay(cell: Cell) -> bool:
    """Whether the gates of this cell depend on nothing but x_t and h_{t-1}."""
    return all(gate.peephole in (None, "h_own") for gate in cell.gates) and cell.C <= 1


def replay(call: Call, h: Tensor) -> Record:
    """The full record of a call whose hidden states (N, P) some other code has computed.

    A half-precision run is replayed in float32 from its rounded inputs and weights, and rounded
    once, as fused kernels do.
    """
    with torch.autocast(h.device.type, enabled=False):
        exact = call.to(h.dtype).to(torch.promote_types(h.dtype, torch.float32))
        h_exact = h.to(exact.x.dtype)
        h_prev = call.packing.previous(h_exact, exact.h_0, call.reverse)
        pre, _ = call.cell.preactivations(exact.x, h_prev, exact.weights)  # (N, G, H)
        gates = call.cell.activate(pre)
        c = None
        if exact.c_0 is not None:
            carry = call.cell.carry(gates)
            assert carry is not None, "a cell state is carried from step to step"
            run = scan if active_transform(call.tensors()) else Scan.apply
            c = run(*carry, exact.c_0, call.packing, call.reverse).to(h.dtype)
    return Record.of(call, h, c, gates.to(h.dtype), pre.to(h.dtype))


class Scan(torch.autograd.Function):
    """c_t = f_t * c_{t-1} + u_t over packed tokens, as one node of the autograd graph.

    Its backward is a scan too, in the other direction: what reaches c_t is what the loss puts on
    it plus f_{t+1} times what reached c_{t+1}. Both are done by `scan`, or another way of it.
    """

    @staticmethod
    def forward(
        ctx,
        f: Tensor,
        u: Tensor,
        c_0: Tensor,
        packing: Packing,
        reverse: bool,
        way: Callable[..., Tensor] | None = None,
    ) -> Tensor:
        c = (way or scan)(f, u, c_0, packing, reverse)
        ctx.save_for_backward(f, c, c_0)
        ctx.packing, ctx.reverse, ctx.way = packing, reverse, way
        return c

    @staticmethod
    def backward(ctx, dc: Tensor):  # type: ignore[override]
        f, c, c_0 = ctx.saved_tensors
        packing, reverse, way = ctx.packing, ctx.reverse, ctx.way
        # f of the next step in the recurrence's order; nothing comes back to the last one
        f_next = packing.previous(f, torch.zeros_like(c_0), not reverse)
        du = Scan.apply(f_next, dc, torch.zeros_like(c_0), packing, not reverse, way)
        c_prev = packing.previous(c, c_0, reverse)
        dc_0 = packing.last(f * du, not reverse)
        return du * c_prev, du, dc_0, None, None, None


def scan(f: Tensor, u: Tensor, c_0: Tensor, packing: Packing, reverse: bool) -> Tensor:
    """(N, H) c_t = f_t * c_{t-1} + u_t; f and u (N, H), c_0 (B, H)."""
    sizes = packing.batch_sizes
    steps = list(zip(u.split(sizes), f.split(sizes), sizes, strict=True))
    newest = c_0  # (B, H) each sequence's newest state; the first b of them go on
    c = []
    for u_t, f_t, b in reversed(steps) if reverse else steps:
        c.append(torch.addcmul(u_t, f_t, newest if b == len(newest) else newest[:b]))
        # in reverse, sequences join from the initial states as the steps reach their ends
        newest = torch.cat((c[-1], newest[b:])) if reverse and b < len(newest) else c[-1]
    return torch.cat(c[::-1] if reverse else c)
