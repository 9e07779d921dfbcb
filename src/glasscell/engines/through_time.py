"""Backpropagation through time, written out: the specification of every fast backward."""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.cells import Step, StepBackward, StepGradient, Weights
from glasscell.engines.call import Call, StepGradients, Steps
from glasscell.engines.edits import step_edits
from glasscell.engines.unrolled import replace_first


@dataclass(frozen=True)
class Pass:
    """What backpropagation through time found at every step, in packed tokens."""

    dx_term: Tensor  # (N, G*H)  dL/d(W x_t + b_x)
    dh_term: Tensor  # (N, G*H)  dL/d(U h_{t-1} + b_h)
    dh: Tensor  # (N, P)  dL/dh_t
    dc: Tensor | None  # (N, H)  dL/dc_t
    dgates: Tensor  # (N, G, H)
    m: Tensor | None  # (N, H)  the hidden state before its projection
    dVm: Tensor | None  # (N, P)  dL/d(what the projection gave)
    dh_0: Tensor  # (B, P)
    dc_0: Tensor | None  # (B, H)
    h_prev: Tensor  # (N, P)
    c_prev: Tensor | None  # (N, H)

    @property
    def of_steps(self) -> StepGradients:
        return StepGradients(self.dh, self.dc, self.dgates)


def through_time(call: Call, steps: Steps, grads: Steps) -> Pass:
    """Backpropagation through time, from dL/d(h, c, gates, pre) of every step.

    Steps are visited from the last to the first. Each adds what comes back from the step after
    it to what the loss puts on it directly.
    """
    cell, packing, reverse, w = call.cell, call.packing, call.reverse, call.weights
    assert steps.gates is not None
    assert steps.pre is not None
    h_prev = packing.previous(steps.h, call.h_0, reverse)  # (N, P)
    c_prev = None  # (N, H)
    if steps.c is not None and call.c_0 is not None:
        c_prev = packing.previous(steps.c, call.c_0, reverse)

    # What comes back to each sequence's newest state. Going back in time, sequences join as
    # the steps reach their ends, with nothing coming back yet.
    dh_back = torch.zeros_like(call.h_0)  # (B, P)
    dc_back = None if call.c_0 is None else torch.zeros_like(call.c_0)  # (B, H)
    found: list[tuple[Tensor, StepBackward]] = []  # dL/dh_t and the rest of each step
    visited = list(packing.steps(not reverse))
    for rows, edits in zip(visited, step_edits(call.edits, visited), strict=True):
        b = rows.stop - rows.start
        dh = _sum(dh_back[:b], _at(grads.h, rows))
        dc = None if dc_back is None else _sum(dc_back[:b], _at(grads.c, rows))
        d = StepGradient(dh, dc, _at(grads.gates, rows), _at(grads.pre, rows))
        step = Step(
            steps.pre[rows],
            steps.gates[rows],
            steps.h[rows],
            _at(steps.c, rows),
            _at(steps.q, rows),
        )
        back = cell.step_backward(d, step, h_prev[rows], _at(c_prev, rows), w, edits)
        dh_back = replace_first(dh_back, back.dh_prev)
        if dc_back is not None and back.dc_prev is not None:
            dc_back = replace_first(dc_back, back.dc_prev)
        found.append((dh, back))
    found = found if reverse else found[::-1]

    def column(name: str) -> Tensor:
        return torch.cat([getattr(back, name) for _, back in found])

    return Pass(
        dx_term=column("dx_term").flatten(-2),
        dh_term=column("dh_term").flatten(-2),
        dh=torch.cat([dh for dh, _ in found]),
        dc=column("dc") if cell.has_cell_state else None,
        dgates=column("dgates"),
        m=None if w.V is None else column("m"),
        dVm=None if w.V is None else column("dVm"),
        dh_0=dh_back,
        dc_0=dc_back,
        h_prev=h_prev,
        c_prev=c_prev,
    )


def gradients(call: Call, steps: Steps, d: Pass) -> tuple[Tensor | None, ...]:
    """dL/d(x, h_0, c_0, each weight): the products that need no order, over all tokens at once."""
    w = call.weights
    dw = Weights(
        W=d.dx_term.T @ call.x,
        U=d.dh_term.T @ d.h_prev,
        b_x=None if w.b_x is None else d.dx_term.sum(0),
        b_h=None if w.b_h is None else d.dh_term.sum(0),
        V=None if d.m is None or d.dVm is None else d.dVm.T @ d.m,
        p=None if w.p is None else _peephole_gradient(call, d.dx_term, steps.c, d.c_prev),
    )
    return d.dx_term @ w.W, d.dh_0, d.dc_0, *dw


def _at(tensor: Tensor | None, rows: slice) -> Tensor | None:
    return None if tensor is None else tensor[rows]


def _sum(back: Tensor, direct: Tensor | None) -> Tensor:
    return back if direct is None else back + direct


def _peephole_gradient(call: Call, dpre: Tensor, c: Tensor | None, c_prev: Tensor | None) -> Tensor:
    """(K, H) dL/dp: a peephole's weight multiplies the cell state it reads, unit by unit."""
    dpre = dpre.unflatten(-1, (call.cell.G, -1))  # (N, G, H)
    rows = []
    for k, gate in enumerate(call.cell.gates):
        state = {"c": c, "c_prev": c_prev, None: None}[gate.peephole]
        if state is not None:
            rows.append((dpre[:, k] * state).sum(0))
    return torch.stack(rows)
