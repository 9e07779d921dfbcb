"""The reference engine: any cell, step by step, in plain torch. Readable, complete, slow.

It runs a sequence in one of two ways that give the same numbers. `SequenceFunction` is one autograd
boundary around all steps, with the backward through time written out: what the fast engines do,
in Python. `unrolled` lets autograd see every operation: for double backward, `torch.func`
transforms and forward-mode differentiation.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from glasscell.cells import Cell, Step, StepGradient, Weights
from glasscell.engines.call import Call, Record
from glasscell.engines.packing import Packing
from glasscell.engines.transforms import active_transform


class ReferenceEngine:
    name = "reference"

    def refuses(self, call: Call) -> str | None:
        return None

    def run(self, call: Call) -> Record:
        device = call.x.device.type
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return self.run(call.to(_autocast_dtype(call)))
        if active_transform(call.tensors()):
            steps = unrolled(call.cell, call.packing, call.reverse, *call.tensors())
        else:
            steps = SequenceFunction.apply(call.cell, call.packing, call.reverse, *call.tensors())
        h, c, gates, pre, _ = steps
        last = call.packing.last
        return Record(
            h=h,
            h_n=last(h, call.reverse),
            c_n=None if c is None else last(c, call.reverse),
            c=c,
            gates=gates,
            pre=pre,
        )


def _autocast_dtype(call: Call) -> torch.dtype:
    """The precision in which autocast runs this call as a whole, and so that of its results.

    PyTorch's own rule: autocast's precision, except that on the CPU it leaves a GRU as it is.
    """
    device = call.x.device.type
    if device == "cpu" and call.cell.kind == "gru":
        return torch.promote_types(call.x.dtype, call.weights.W.dtype)
    return torch.get_autocast_dtype(device)


Steps = tuple[Tensor, Tensor | None, Tensor, Tensor, Tensor | None]  # h, c, gates, pre, q: (N, ...)


def _inputs(tensors: Sequence[Tensor | None]) -> tuple[Tensor, Tensor, Tensor | None, Weights]:
    """x, h_0, c_0 and the weights, from `Call.tensors()`."""
    x, h_0, c_0, W, U, *rest = tensors
    assert x is not None
    assert h_0 is not None
    assert W is not None
    assert U is not None
    return x, h_0, c_0, Weights(W, U, *rest)


def unrolled(cell: Cell, packing: Packing, reverse: bool, *tensors: Tensor | None) -> Steps:
    """All steps, one after the other, of ordinary differentiable operations."""
    x, h, c, w = _inputs(
        tensors
    )  # h, c: every sequence's newest state; the first b rows are the ones that go on
    steps: list[Step] = []
    for rows in packing.steps(reverse):
        b = rows.stop - rows.start
        step = cell.step(x[rows], h[:b], None if c is None else c[:b], w)
        steps.append(step)
        h = _replace_first(h, step.h)
        c = None if c is None else _replace_first(c, step.c)
    if reverse:
        steps.reverse()

    def column(name: str) -> Tensor:
        return torch.cat([getattr(step, name) for step in steps])

    c_all = column("c") if cell.has_cell_state else None
    q_all = column("q") if steps[0].q is not None else None
    return column("h"), c_all, column("gates"), column("pre"), q_all


def _replace_first(states: Tensor, newest: Tensor | None) -> Tensor:
    """The (B, H) states with the first b rows replaced by the (b, H) newest."""
    assert newest is not None
    b = newest.shape[0]
    return newest if b == states.shape[0] else torch.cat((newest, states[b:]))


class SequenceFunction(torch.autograd.Function):
    """A cell over packed tokens as one node of the autograd graph."""

    @staticmethod
    def forward(ctx, cell, packing, reverse, *tensors):
        steps = unrolled(cell, packing, reverse, *tensors)
        ctx.cell, ctx.packing, ctx.reverse = cell, packing, reverse
        ctx.inputs = len(tensors)
        ctx.save_for_backward(*tensors, *steps)
        ctx.set_materialize_grads(False)
        return steps

    @staticmethod
    def backward(ctx, *grads):
        tensors = ctx.saved_tensors[: ctx.inputs]
        needed = ctx.needs_input_grad[3:]
        if torch.is_grad_enabled():  # create_graph=True: the gradient itself must have a graph
            found = _differentiable_backward(ctx, tensors, needed, grads)
        else:
            steps = ctx.saved_tensors[ctx.inputs :]
            found = through_time(ctx.cell, ctx.packing, ctx.reverse, tensors, steps, grads)
        return None, None, None, *(g if n else None for g, n in zip(found, needed, strict=True))


def _differentiable_backward(ctx, tensors, needed, grads):
    """The same gradients, computed by autograd through the unrolled steps.

    The inputs are taken by new names, so that a path from one input to another, which is the
    caller's affair, is not followed here.
    """
    with torch.enable_grad():
        inputs = [None if t is None else t.view_as(t) for t in tensors]
        steps = unrolled(ctx.cell, ctx.packing, ctx.reverse, *inputs)
    reached = [(s, g) for s, g in zip(steps, grads, strict=True) if s is not None and g is not None]
    wanted = [t for t, n in zip(inputs, needed, strict=True) if n and t is not None]
    found = iter(
        torch.autograd.grad(
            [s for s, _ in reached],
            wanted,
            [g for _, g in reached],
            create_graph=True,
            allow_unused=True,
        )
    )
    return [next(found) if n else None for n in needed]


def through_time(
    cell: Cell,
    packing: Packing,
    reverse: bool,
    tensors: tuple[Tensor | None, ...],
    steps: tuple[Tensor | None, ...],
    grads: tuple[Tensor | None, ...],
) -> tuple[Tensor | None, ...]:
    """Backpropagation through time: dL/d(inputs) from dL/d(h, c, gates, pre) of every step.

    Steps are visited from the last to the first. Each adds what comes back from the step after
    it to what the loss puts on it directly. Products with the weights that need no order are
    left to the end, as one product over all tokens.
    """
    x, h_0, c_0, w = _inputs(tensors)
    h, c, gates, pre, q = steps
    dh, dc, dgates, dpre, _ = grads  # q is internal: no loss reaches it but through the step
    assert h is not None
    h_prev = packing.previous(h, h_0, reverse)
    c_prev = None if c is None or c_0 is None else packing.previous(c, c_0, reverse)

    def at(tensor: Tensor | None, rows: slice) -> Tensor | None:
        return None if tensor is None else tensor[rows]

    # What comes back to each sequence's newest state. Going back in time, sequences join as
    # the steps reach their ends, with nothing coming back yet.
    dh_back = torch.zeros_like(h_0)
    dc_back = None if c_0 is None else torch.zeros_like(c_0)
    dx_terms, dh_terms, dh_totals, ms = [], [], [], []
    for rows in packing.steps(not reverse):
        b = rows.stop - rows.start
        dh_t = dh_back[:b] if dh is None else dh_back[:b] + dh[rows]
        dc_t = None
        if dc_back is not None:
            dc_t = dc_back[:b] if dc is None else dc_back[:b] + dc[rows]
        d = StepGradient(dh_t, dc_t, at(dgates, rows), at(dpre, rows))
        step = Step(*(at(v, rows) for v in (pre, gates, h, c, q)))  # type: ignore[arg-type]
        back = cell.step_backward(d, step, h_prev[rows], at(c_prev, rows), w)
        dh_back = _replace_first(dh_back, back.dh_prev)
        dc_back = None if dc_back is None else _replace_first(dc_back, back.dc_prev)
        dx_terms.append(back.dx_term.flatten(-2))
        dh_terms.append(back.dh_term.flatten(-2))
        dh_totals.append(dh_t)
        ms.append(back.m)

    def column(pieces: list) -> Tensor:
        return torch.cat(pieces if reverse else pieces[::-1])

    dx_term, dh_term = column(dx_terms), column(dh_terms)  # (N, G*H)
    dW, dU = dx_term.T @ x, dh_term.T @ h_prev
    db_x = None if w.b_x is None else dx_term.sum(0)
    db_h = None if w.b_h is None else dh_term.sum(0)
    dV = None if w.V is None else column(dh_totals).T @ column(ms)
    dp = None if w.p is None else _peephole_gradient(cell, dx_term, c, c_prev)
    return dx_term @ w.W, dh_back, dc_back, dW, dU, db_x, db_h, dV, dp


def _peephole_gradient(cell: Cell, dpre: Tensor, c: Tensor | None, c_prev: Tensor | None) -> Tensor:
    """(K, H) dL/dp: a peephole's weight multiplies the cell state it reads, unit by unit."""
    dpre = dpre.unflatten(-1, (cell.G, -1))
    rows = []
    for k, gate in enumerate(cell.gates):
        state = {"c": c, "c_prev": c_prev, None: None}[gate.peephole]
        if state is not None:
            rows.append((dpre[:, k] * state).sum(0))
    return torch.stack(rows)
