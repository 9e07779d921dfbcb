"""Backpropagation through time, written out: the specification of every fast backward."""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.cells import Step, StepBackward, StepGradient, Weights
from glasscell.cells.cell import added
from glasscell.engines.call import Call, StepGradients, Steps
from glasscell.engines.edits import step_edits
from glasscell.engines.noise import of_tokens, step_noise
from glasscell.engines.unrolled import replace_first


@dataclass(frozen=True)
class Pass:
    """What backpropagation through time found at every step, in packed tokens."""

    dx_term: Tensor  # (N, X*H)  dL/d(W x_t + b_x)
    dh_term: Tensor  # (N, R*H)  dL/d(U h_{t-1} + b_h)
    dh: Tensor  # (N, P)  dL/dh_t
    dc: Tensor | None  # (N, C*H)  dL/dc_t
    dgates: Tensor  # (N, G, H)
    m: Tensor | None  # (N, H)  the hidden state before its projection
    dVm: Tensor | None  # (N, P)  dL/d(what the projection gave)
    dh_0: Tensor  # (B, P)
    dc_0: Tensor | None  # (B, C*H)
    h_read: Tensor  # (N, P)  what the products read of h_{t-1}
    c_prev: Tensor | None  # (N, C*H)
    dx: Tensor | None  # (N, I)  dL/dx_t beside what comes through W
    dw: dict[str, Tensor]  # of the weights that the two terms do not give, by their letter

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
    c_prev = None  # (N, C*H)
    if steps.c is not None and call.c_0 is not None:
        c_prev = packing.previous(steps.c, call.c_0, reverse)

    # What comes back to each sequence's newest state. Going back in time, sequences join as
    # the steps reach their ends, with nothing coming back yet.
    dh_back = torch.zeros_like(call.h_0)  # (B, P)
    dc_back = None if call.c_0 is None else torch.zeros_like(call.c_0)  # (B, H)
    found: list[tuple[Tensor, StepBackward]] = []  # dL/dh_t and the rest of each step
    visited = list(packing.steps(not reverse))
    all_edits, all_noise = step_edits(call.edits, visited), step_noise(call, visited)
    for rows, edits, noise in zip(visited, all_edits, all_noise, strict=True):
        b = rows.stop - rows.start
        dh = added(dh_back[:b], _at(grads.h, rows))
        dc = None if dc_back is None else added(dc_back[:b], _at(grads.c, rows))
        d = StepGradient(dh, dc, _at(grads.gates, rows), _at(grads.pre, rows))
        step = Step(
            steps.pre[rows],
            steps.gates[rows],
            steps.h[rows],
            _at(steps.c, rows),
            _at(steps.q, rows),
        )
        before = h_prev[rows], _at(c_prev, rows)
        back = cell.step_backward(d, step, call.x[rows], *before, w, edits, noise)
        dh_back = replace_first(dh_back, back.dh_prev)
        if dc_back is not None and back.dc_prev is not None:
            dc_back = replace_first(dc_back, back.dc_prev)
        found.append((dh, back))
    found = found if reverse else found[::-1]

    def column(name: str) -> Tensor:
        return torch.cat([getattr(back, name) for _, back in found])

    dw: dict[str, Tensor] = {}
    for _, back in found:
        for letter, gradient in back.dw.items():
            dw[letter] = dw[letter] + gradient if letter in dw else gradient
    mask = None if call.noise is None else call.noise.mask
    return Pass(
        dx_term=column("dx_term").flatten(-2),
        dh_term=column("dh_term").flatten(-2),
        dh=torch.cat([dh for dh, _ in found]),
        dc=column("dc") if cell.has_cell_state else None,
        dgates=column("dgates"),
        m=None if w.V is None or "V" in dw else column("m"),
        dVm=None if w.V is None or "V" in dw else column("dVm"),
        dh_0=dh_back,
        dc_0=dc_back,
        h_read=h_prev if mask is None else h_prev * of_tokens(call, mask),
        c_prev=c_prev,
        dx=None if found[0][1].dx is None else column("dx"),
        dw=dw,
    )


def gradients(call: Call, steps: Steps, d: Pass) -> tuple[Tensor | None, ...]:
    """dL/d(x, h_0, c_0, each weight): the products that need no order, over all tokens at once."""
    w, given = call.weights, d.dw
    dw = {
        "W": lambda: d.dx_term.T @ call.x,
        "U": lambda: d.dh_term.T @ d.h_read,
        "b_x": lambda: d.dx_term.sum(0),
        "b_h": lambda: d.dh_term.sum(0),
        "V": lambda: _product(d.dVm, d.m),
        "p": lambda: _peephole_gradient(call, d, steps.c),
    }
    found = (
        None if each is None else given[letter] if letter in given else dw[letter]()
        for letter, each in zip(Weights._fields, w, strict=True)
    )
    dx = d.dx if d.dx_term.shape[1] == 0 else added(d.dx_term @ w.W, d.dx)
    return dx, d.dh_0, d.dc_0, *found


def _at(tensor: Tensor | None, rows: slice) -> Tensor | None:
    return None if tensor is None else tensor[rows]


def _product(dVm: Tensor | None, m: Tensor | None) -> Tensor:
    assert dVm is not None
    assert m is not None
    return dVm.T @ m


def _peephole_gradient(call: Call, d: Pass, c: Tensor | None) -> Tensor:
    """(K, H) dL/dp: a peephole's weight multiplies the state it reads, unit by unit."""
    dpre = d.dx_term.unflatten(-1, (call.cell.G, -1))  # (N, G, H)
    states = {"c": c, "c_prev": d.c_prev, "h_own": d.h_read}
    rows = []
    for k, gate in enumerate(call.cell.gates):
        if gate.peephole:
            state = states[gate.peephole]
            assert state is not None
            rows.append((dpre[:, k] * state).sum(0))
    return torch.stack(rows)
