"""The backward of every variant's step, edited and with noise, against autograd through the step.

What is compared: dL/d(x, h, what is carried, each weight), and dL/d(each gate and carried state),
which is that of a number added to it.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.cells.zoo_of_variants import NAMES, OPENS, SQUARE, drawn
from tests.tolerances import assert_close
from torch import Tensor

from glasscell.cells import (
    MUT,
    NOISELESS,
    UNEDITED,
    VARIANTS,
    Cell,
    Custom,
    StepBackward,
    StepEdits,
    StepGradient,
    StepNoise,
    Weights,
)

B, I, H = 5, 3, 4
PARTS = ("h", "c", "gates", "pre")
ARRIVING = [*({part} for part in PARTS), set(PARTS)]
Edited = dict[str, tuple[Tensor, Tensor]]


def sizes_of(name: str, P: int = H) -> tuple[int, int]:
    return (H if name in SQUARE else I), P


def setting(cell: Cell, inputs: int, P: int, bias: bool = True) -> list[Tensor | None]:
    """Leaves: x, h, c and every weight."""
    shapes = cell.shapes(inputs, H, P, bias)
    w = Weights(**{k: torch.randn(shape, dtype=torch.float64) / 2 for k, shape in shapes.items()})
    x, h = torch.randn(B, inputs).double(), torch.randn(B, P).double()
    c = torch.rand(B, cell.C * H).double() + 0.5 if cell.has_cell_state else None
    return [None if t is None else t.requires_grad_() for t in (x, h, c, *w)]


def edits_of(cell: Cell, P: int) -> Edited:
    """Every quantity scaled and shifted in some places, and replaced in others."""
    found: Edited = {}
    for quantity in cell.quantities:
        width = P if quantity == "hidden" else H
        scale = torch.rand(B, width).double() + 0.5
        scale[torch.rand(B, width) < 0.2] = torch.nan
        found[quantity] = scale, torch.rand(B, width).double() * 0.3 + 0.1
    return found


def neutral(cell: Cell, P: int) -> Edited:
    """Edits that change nothing, whose shifts can be asked for a gradient."""
    widths = {q: P if q == "hidden" else H for q in cell.quantities}
    return {
        q: (torch.ones(B, n).double(), torch.zeros(B, n).double().requires_grad_())
        for q, n in widths.items()
    }


def noise_of(cell: Cell, P: int, training: bool = True) -> StepNoise:
    """Draws for every gate that is drawn, both states held, and a mask."""
    draws = {gate.name: torch.rand(B, H).double() for gate in cell.gates if gate.stochastic}
    stays: dict[str, Tensor | float] = {"hidden": 0.2}
    if training:
        stays["hidden"] = torch.randint(0, 2, (B, P)).double()
    if cell.has_cell_state:
        stays["cell"] = torch.randint(0, 2, (B, H)).double() if training else 0.3
    mask = torch.randint(0, 2, (B, P)) * 1.5
    return StepNoise(draws, stays, mask.double()) if training else StepNoise(stays=stays)


def gradients_of(cell: Cell, back: StepBackward, w: Weights, x, h, c, step, noise) -> dict:
    """By letter, what the backward of one step says; weights' products formed here."""
    x_term, h_term = back.dx_term.flatten(-2), back.dh_term.flatten(-2)
    read = noise.read(h)
    found: dict[str, Any] = {
        "x": back.dx if back.dx is not None else x_term @ w.W,
        "h": back.dh_prev,
        "c": back.dc_prev,
    }
    found |= {"W": x_term.T @ x, "b_x": x_term.sum(0)}
    found |= {"U": h_term.T @ read, "b_h": h_term.sum(0)}
    if w.V is not None and "V" not in back.dw:
        assert back.dVm is not None
        assert back.m is not None
        found["V"] = back.dVm.T @ back.m
    if w.p is not None and "p" not in back.dw:
        states = {"c_prev": c, "c": step.c, "h_own": read}
        rows = [
            back.dx_term[:, k] * states[gate.peephole]
            for k, gate in enumerate(cell.gates)
            if gate.peephole
        ]
        found["p"] = torch.stack(rows).sum(1)
    return found | dict(back.dw)


def check(cell: Cell, inputs: int, P: int, edits: Edited, noise: StepNoise, arriving: set) -> None:
    leaves: list[Any] = setting(cell, inputs, P)
    x, h, c, *weights = leaves
    w = Weights(*weights)
    plain = StepEdits(edits) if edits else UNEDITED
    step = cell.step(x, h, c, w, plain, noise)
    losses = {
        part: torch.randn_like(getattr(step, part))
        for part in PARTS
        if part in arriving and getattr(step, part) is not None
    }
    loss: Any = sum((getattr(step, part) * d).sum() for part, d in losses.items())
    there = [t for t in leaves if t is not None]
    autograds = torch.autograd.grad(loss, there, allow_unused=True, materialize_grads=True)
    letters = [
        k for k, t in zip(("x", "h", "c", *Weights._fields), leaves, strict=True) if t is not None
    ]
    expected = dict(zip(letters, autograds, strict=True))

    with torch.no_grad():
        d = StepGradient(**{part: losses.get(part) for part in PARTS})
        back = cell.step_backward(d, step, x, h, c, w, plain, noise)
        found = gradients_of(cell, back, w, x, h, c, step, noise)
    for letter, gradient in expected.items():
        assert_close(found[letter], gradient, f"dL/d{letter}", kind="gradient")

    # dL/d(a quantity) is that of what is added to it
    added = edits or neutral(cell, P)
    shifts = {q: shift.detach().requires_grad_() for q, (_, shift) in added.items()}
    shifted = StepEdits({q: (scale, shifts[q]) for q, (scale, _) in added.items()})
    again = cell.step(x, h, c, w, shifted, noise)
    loss = sum((getattr(again, part) * d).sum() for part, d in losses.items())
    ds = torch.autograd.grad(loss, list(shifts.values()), allow_unused=True, materialize_grads=True)
    of = dict(zip(shifts, ds, strict=True))
    assert back.dgates is not None
    for k, gate in enumerate(cell.gates):
        assert_close(back.dgates[:, k], of[gate.name], f"dL/d{gate.name}", kind="gradient")
    for k, state in enumerate(cell.carried):
        assert back.dc is not None
        dc = back.dc.chunk(cell.C, -1)[k]
        assert_close(dc, of[state], f"dL/d{state}", kind="gradient")


@pytest.mark.parametrize(
    ("name", "arriving"),
    [
        pytest.param(name, some, id=f"{name}-{'+'.join(sorted(some))}")
        for name in NAMES
        for some in ARRIVING
        if VARIANTS[name].has_cell_state or some != {"c"}
    ],
)
def test_of_every_input_weight_and_quantity(name, arriving):
    check(VARIANTS[name], *sizes_of(name), {}, NOISELESS, arriving)


@pytest.mark.parametrize("name", [n for n in NAMES if VARIANTS[n].has_cell_state])
def test_projected(name):
    cell = VARIANTS[name]
    check(cell, *sizes_of(name, P=2), {}, NOISELESS, set(PARTS))
    check(cell, *sizes_of(name, P=2), edits_of(cell, 2), noise_of(cell, 2), set(PARTS))


@pytest.mark.parametrize("name", NAMES)
def test_with_every_quantity_edited(name):
    cell = VARIANTS[name]
    check(cell, *sizes_of(name), edits_of(cell, H), NOISELESS, set(PARTS))
    for quantity in cell.quantities:  # and each alone, beside others that are as they were
        one = {quantity: edits_of(cell, H)[quantity]}
        check(cell, *sizes_of(name), neutral(cell, H) | one, NOISELESS, set(PARTS))


@pytest.mark.parametrize("reads", [("tanh_x", "tanh_h"), ("x", "x_itself", "tanh_h"), ("x",)])
def test_a_mutation_that_reads_other_things(reads):
    cell = MUT(reset_gate=replace(MUT().reset_gate, reads=reads))
    check(cell, H, H, {}, NOISELESS, set(PARTS))
    check(cell, H, H, edits_of(cell, H), noise_of(cell, H), set(PARTS))


@pytest.mark.parametrize("how", [None, "bernoulli", "gumbel"])
@pytest.mark.parametrize("name", NAMES)
def test_with_noise(name, how):
    cell = drawn(VARIANTS[name], how) if how else VARIANTS[name]
    for training in (True, False):
        noise = noise_of(cell, H, training)
        check(cell, *sizes_of(name), {}, noise, set(PARTS))
        check(cell, *sizes_of(name), edits_of(cell, H), noise, set(PARTS))


def test_every_backward_is_written_out(monkeypatch):
    """None of them asks autograd, which a step of one's own does."""

    def asked(*args, **kwargs):
        raise AssertionError("autograd was asked")

    def leaky(now):
        return torch.tanh(now.carry(0.9 * now.before() + now.gate("candidate")))

    def backward(cell: Cell, name: str) -> StepBackward:
        leaves: list[Any] = setting(cell, *sizes_of(name))
        x, h, c, *weights = leaves
        step = cell.step(x, h, c, Weights(*weights))
        d = StepGradient(torch.ones_like(h))
        return cell.step_backward(d, step, x, h, c, Weights(*weights))

    monkeypatch.setattr(torch.autograd, "grad", asked)
    for name in NAMES:
        backward(VARIANTS[name], name)
    with pytest.raises(AssertionError, match="asked"):
        backward(Custom(leaky, ("candidate",)), "custom")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_weights_without_biases(name):
    cell = VARIANTS[name]
    leaves: list[Any] = setting(cell, *sizes_of(name), bias=False)
    x, h, c, *weights = leaves
    w = Weights(*weights)
    step = cell.step(x, h, c, w)
    there = [t for t in leaves if t is not None]
    autograds = torch.autograd.grad(step.h.sum(), there, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        d = StepGradient(torch.ones_like(step.h))
        back = cell.step_backward(d, step, x, h, c, w)
        found = gradients_of(cell, back, w, x, h, c, step, NOISELESS)
    letters = [
        k for k, t in zip(("x", "h", "c", *Weights._fields), leaves, strict=True) if t is not None
    ]
    for letter, gradient in zip(letters, autograds, strict=True):
        assert_close(found[letter], gradient, f"dL/d{letter}", kind="gradient")


def test_of_a_step_of_ones_own():
    def leaky(now):
        i, g = now.gate("input_gate"), now.gate("candidate", now.sums["candidate"] + now.h)
        trace = now.carry(0.5 * now.before("trace") + i, "trace")
        return torch.tanh(now.carry(0.9 * now.before() + i * g) + trace)

    cell = drawn_custom(leaky)
    assert {gate.squash for gate in cell.gates if gate.stochastic} <= set(OPENS)
    for edits in ({}, edits_of(cell, H)):
        for noise in (NOISELESS, noise_of(cell, H)):
            check(cell, I, H, edits, noise, set(PARTS))


def drawn_custom(function) -> Custom:
    cell = Custom(function, ("input_gate", "candidate"), ("cell", "trace"))  # type: ignore[arg-type]
    gate, candidate = cell.gates
    return replace(cell, gates=(replace(gate, stochastic="bernoulli"), candidate))
