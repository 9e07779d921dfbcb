"""The backward of a step as it is written out, against autograd through the step."""

from itertools import combinations
from typing import Any

import pytest
import torch
from tests.cells.zoo import SUBJECTS
from tests.tolerances import assert_close

from glasscell.cells import StepGradient, Weights

B, I, H = 5, 3, 4
PARTS = ("h", "c", "gates", "pre")
ARRIVING = [set(some) for n in range(1, 5) for some in combinations(PARTS, n)]


@pytest.mark.parametrize(
    ("name", "arriving"),
    [
        pytest.param(name, some, id=f"{name}-{'+'.join(sorted(some))}")
        for name, subject in SUBJECTS.items()
        for some in ARRIVING
        if subject.cell.has_cell_state or "c" not in some
    ],
)
def test_step_backward_is_autograds(name, arriving):
    """With the loss on any subset of h, c, the gates and the pre-activations."""
    subject = SUBJECTS[name]
    cell, w = subject.cell, subject.weights(I, H)
    x = torch.randn(B, I, dtype=torch.float64, requires_grad=True)
    h = torch.randn(B, subject.P(H), dtype=torch.float64, requires_grad=True)
    c = None
    if cell.has_cell_state:
        c = torch.randn(B, H, dtype=torch.float64, requires_grad=True)

    step = cell.step(x, h, c, w)
    losses = {part: torch.randn_like(getattr(step, part)) for part in PARTS if part in arriving}
    loss = sum((getattr(step, part) * d).sum() for part, d in losses.items())
    inputs = [t for t in (x, h, c, *w) if t is not None]
    found = torch.autograd.grad(loss, inputs, allow_unused=True)  # type: ignore[arg-type]
    expected = {
        id(t): torch.zeros_like(t) if g is None else g for t, g in zip(inputs, found, strict=True)
    }

    with torch.no_grad():
        back = cell.step_backward(
            StepGradient(**{part: losses.get(part) for part in PARTS}), step, x, h, c, w
        )
        dx_term, dh_term = back.dx_term.flatten(-2), back.dh_term.flatten(-2)  # (B, G*H)
        gradients = {
            "x": (dx_term @ w.W, x),
            "h": (back.dh_prev, h),
            "W": (dx_term.T @ x, w.W),
            "U": (dh_term.T @ h, w.U),
            "c": (back.dc_prev, c),
            "b_x": (dx_term.sum(0), w.b_x),
            "b_h": (dh_term.sum(0), w.b_h),
        }
        if w.V is not None:
            assert back.m is not None
            dh = losses.get("h", torch.zeros_like(step.h))
            gradients["V"] = (dh.T @ back.m, w.V)
    for letter, (gradient, tensor) in gradients.items():
        if tensor is not None:
            assert_close(gradient, expected[id(tensor)], f"dL/d{letter}", kind="gradient")


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_gradient_of_every_gate_is_handed_on(name):
    """dL/dgate, against the loss as a function of the gates alone."""
    subject = SUBJECTS[name]
    cell: Any = subject.cell
    w: Any = subject.weights(I, H)
    x = torch.randn(B, I, dtype=torch.float64)
    h = torch.randn(B, subject.P(H), dtype=torch.float64)
    c = torch.randn(B, H, dtype=torch.float64) if cell.has_cell_state else None
    step: Any = cell.step(x, h, c, w)
    dh, dgates = torch.randn_like(step.h), torch.randn_like(step.gates)

    gates = step.gates.detach().requires_grad_()
    if cell.kind == "lstm":
        i, f, g, o = gates.unbind(-2)
        c_t = f * c + i * g
        if "output_gate" in cell.peepholes:
            row = cell.peepholes.index("output_gate")
            # The output gate reads c_t, so what reaches i, f and g comes through it as well.
            o_pre = step.pre[:, 3].detach() + w.p[row] * (c_t - step.c.detach())
            o = o + torch.sigmoid(o_pre) - step.gates[:, 3].detach()
        h_t = o * torch.tanh(c_t)
        h_t = h_t if w.V is None else h_t @ w.V.T
    elif cell.kind == "gru":
        r, z, n = gates.unbind(-2)
        n_pre = step.pre[:, 2].detach() + (r - step.gates[:, 0].detach()) * step.q.detach()
        n = n + torch.tanh(n_pre) - step.gates[:, 2].detach()
        h_t = (1 - z) * n + z * h
    else:
        h_t = gates.squeeze(-2)
    loss = (h_t * dh).sum() + (gates * dgates).sum()
    if cell.kind == "lstm" and "output_gate" in cell.peepholes:
        loss = loss + ((o - gates[:, 3]) * dgates[:, 3]).sum()
    if cell.kind == "gru":
        loss = loss + ((n - gates[:, 2]) * dgates[:, 2]).sum()
    (expected,) = torch.autograd.grad(loss, gates)

    with torch.no_grad():
        back = cell.step_backward(StepGradient(h=dh, gates=dgates), step, x, h, c, w)
    assert_close(back.dgates, expected, "dL/dgates", kind="gradient")


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_backward_in_float32_stays_in_float32(name):
    subject = SUBJECTS[name]
    tensors = subject.weights(I, H)
    detached: list[Any] = [t if t is None else t.detach().float() for t in tensors]
    w32 = Weights(*detached)
    x, h = torch.randn(B, I), torch.randn(B, subject.P(H))
    c = torch.randn(B, H) if subject.cell.has_cell_state else None
    back = subject.cell.step_backward(
        StepGradient(h=torch.randn_like(h)), subject.cell.step(x, h, c, w32), x, h, c, w32
    )
    assert {back.dx_term.dtype, back.dh_term.dtype, back.dh_prev.dtype} == {torch.float32}
