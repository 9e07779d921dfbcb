"""The scan engine: cells whose gates read no hidden state, all steps at once, on any device.

What goes into such gates is one product for all tokens, and what is left of the recurrence,

    c_t = keep_t * c_{t-1} + write_t,

is a chain of maps c -> keep * c + write. Two of them, one after the other, are one of the same
kind, so they may be put together in any grouping (Blelloch 1990, "Prefix Sums and Their
Applications"): each pair of neighbours becomes one map, the chain of half the length is solved the
same way, and the steps in between follow from their neighbours. That is 2 log2(T) rounds, and about
three times the operations of going step by step. minGRU and minLSTM are trained so (Feng et al.
2024, "Were RNNs All We Needed?").

That paper adds logarithms instead, log keep and log write, which asks for a candidate that is never
negative. Here numbers are multiplied as they are. What is kept lies between 0 and 1, so products of
it only shrink, and one too small for a number is 0, as it becomes step by step, too. So any
candidate will do, nothing is a difference of large logarithms, and the result is as exact as that
of steps one by one.
"""

import torch
from torch import Tensor

from glasscell.cells import GRU, LSTM, Cell
from glasscell.engines.call import Call, Record
from glasscell.engines.noise import step_noise
from glasscell.engines.observed import observed
from glasscell.engines.packing import Packing
from glasscell.engines.precision import in_one_dtype
from glasscell.engines.replay import Scan
from glasscell.engines.transforms import active_transform


class ScanEngine:
    name = "scan"

    def refuses(self, call: Call) -> str | None:
        if refusal := _refuses_cell(call.cell):
            return refusal
        if call.edits:
            return "edits take one step after the other"
        if call.noise is not None and any(call.noise.zoneout):
            return "it knows no zoneout"
        return None

    def run(self, call: Call) -> Record:
        call = in_one_dtype(call)
        with torch.autocast(call.x.device.type, enabled=False):
            return observed(call, _all_steps(call))

    def step(self, call: Call) -> tuple[Tensor, Tensor | None]:
        record = self.run(call)
        return record.h, record.c_n


def _refuses_cell(cell: Cell) -> str | None:
    if not isinstance(cell, (LSTM, GRU)):
        return f"it knows LSTMs and GRUs, and this is {cell.noun}"
    for gate in cell.gates:
        if gate.peephole:
            return f"the {gate.name} reads the state: each step waits for the one before"
        if "h" in gate.reads:
            return f"the {gate.name} reads the hidden state: each step waits for the one before"
        if gate.name != "candidate" and not gate.opens:
            return (
                f"the {gate.name} ends in {gate.squash.name}, which may exceed 1: products of many "
                "steps could overflow"
            )
    return None


def _all_steps(call: Call) -> Record:
    """The full record. Half precision is computed in float32 and rounded once."""
    dtype = call.x.dtype
    call = call.to(torch.promote_types(dtype, torch.float32))
    cell, w = call.cell, call.weights
    pre, _ = cell.preactivations(call.x, call.h_0, w)  # (N, G, H); no gate reads h_0
    (noise,) = step_noise(call, [slice(None)])
    if noise.draws:
        values = [noise.gate(gate, pre[:, k]) for k, gate in enumerate(cell.gates)]
        gates = torch.stack(values, 1)
    else:
        gates = cell.activate(pre)

    carry = cell.carry(gates)
    assert carry is not None, "LSTMs and GRUs carry a state"
    initial = call.h_0 if call.c_0 is None else call.c_0
    # U has no rows, and so adds 0. But a backward reaches it, as it does in other engines.
    initial = initial + w.U.sum()
    arguments = *carry, initial, call.packing, call.reverse
    if active_transform(call.tensors()):
        state = pairwise_scan(*arguments)
    else:
        state = Scan.apply(*arguments, pairwise_scan)
    h, c = state, None
    if isinstance(cell, LSTM):
        h, c = cell.shown(gates, state, w), state.to(dtype)
    return Record.of(call, h.to(dtype), c, gates.to(dtype), pre.to(dtype))


def pairwise_scan(f: Tensor, u: Tensor, c_0: Tensor, packing: Packing, reverse: bool) -> Tensor:
    """(N, H) c_t = f_t * c_{t-1} + u_t, as `replay.scan` has it, but in 2 log2(T) rounds.

    Args:
        f, u: (N, H)
        c_0: (B, H)
    """
    T, B, rows = packing.T, packing.B, None
    if not packing.is_dense:
        # a grid of all steps and sequences, where a step that is not there changes nothing
        t, b = packing.step_and_sequence()
        rows = (t * B + b).to(f.device)
        f = f.new_ones(T * B, f.shape[1]).index_copy(0, rows, f)
        u = u.new_zeros(T * B, u.shape[1]).index_copy(0, rows, u)
    f, u = f.unflatten(0, (T, B)), u.unflatten(0, (T, B))  # (T, B, H)
    if reverse:
        f, u = f.flip(0), u.flip(0)
    c = _states(f, u, c_0[None])
    c = (c.flip(0) if reverse else c).flatten(0, 1)
    return c if rows is None else c.index_select(0, rows)


def _states(f: Tensor, u: Tensor, c_0: Tensor) -> Tensor:
    """(T, ...) the states c_t = f_t * c_{t-1} + u_t; f and u (T, ...), c_0 (1, ...)."""
    T = len(f)
    if T == 1:
        return torch.addcmul(u, f, c_0)
    pairs = T // 2
    f_first, f_second = f[::2], f[1::2]
    u_first, u_second = u[::2], u[1::2]
    # (pairs, ...) the states after each pair, which is one step from pair to pair
    second = _states(
        f_first[:pairs] * f_second, torch.addcmul(u_second, f_second, u_first[:pairs]), c_0
    )
    before = torch.cat((c_0, second))[: T - pairs]  # what the first of each pair starts from
    first = torch.addcmul(u_first, f_first, before)
    both = torch.stack((first[:pairs], second), 1).flatten(0, 1)
    return both if 2 * pairs == T else torch.cat((both, first[pairs:]))
