"""The engine contract: what an engine is given, and what it gives back."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeGuard

import torch
from torch import Tensor

from glasscell.cells import Cell, Weights
from glasscell.engines.edits import RunEdit
from glasscell.engines.noise import RunNoise
from glasscell.engines.packing import Packing


class Call(NamedTuple):
    """One cell over one batch of sequences in one direction: a layer is one or two of these."""

    cell: Cell
    weights: Weights
    x: Tensor  # (N, I)  packed tokens
    packing: Packing
    h_0: Tensor  # (B, P)  longest sequence first, like the tokens
    c_0: Tensor | None = None  # (B, C*H)  for cells that have a cell state
    reverse: bool = False
    record: bool = False  # whether the caller will read gates and states of every step
    edits: tuple[RunEdit, ...] = ()  # at most one for each quantity
    gradients: "GradientRecord | None" = None  # where a backward is to leave those of every step
    noise: RunNoise | None = None  # what chance does

    @property
    def H(self) -> int:
        """The number of units."""
        return self.weights.W.shape[0] // len(self.cell.gates_in("W"))

    def tensors(self) -> tuple[Tensor | None, ...]:
        """Everything a gradient may be asked for; the tables of edits come last."""
        inputs = self.x, self.h_0, self.c_0, *self.weights
        if not self.edits:
            return inputs
        tables = [table for edit in self.edits for table in (edit.scale, edit.shift)]
        return *inputs, *tables

    def with_tensors(self, tensors: Sequence[Any]) -> "Call":
        """The same call on other tensors, given in the order of `tensors`."""
        x, h_0, c_0, *rest = tensors
        weights, tables = rest[: len(Weights._fields)], iter(rest[len(Weights._fields) :])
        edits = tuple(edit._replace(scale=next(tables), shift=next(tables)) for edit in self.edits)
        return self._replace(x=x, h_0=h_0, c_0=c_0, weights=Weights(*weights), edits=edits)

    def to(self, dtype: torch.dtype) -> "Call":
        """The same call with every tensor in another precision."""
        return self.with_tensors([None if t is None else t.to(dtype) for t in self.tensors()])


class Steps(NamedTuple):
    """What all steps computed, in packed tokens: `cells.Step`, for N of them.

    What nobody reads may be None. Gradients with respect to them come in the same shape, None where
    a loss reaches nothing.
    """

    h: Tensor  # (N, P)
    c: Tensor | None  # (N, C*H)  float32 where the rest is bfloat16
    gates: Tensor | None  # (N, G, H)
    pre: Tensor | None  # (N, G, H)
    q: Tensor | None  # (N, H)


class StepGradients(NamedTuple):
    """dL/d(each state and gate of every step), along all paths: what a backward passes through."""

    h: Tensor  # (N, P)
    c: Tensor | None  # (N, C*H)
    gates: Tensor  # (N, G, H)

    def of(self, quantity: str, cell: Cell) -> Tensor:
        """(N, H) dL/d(a quantity), by its public name."""
        names = [gate.name for gate in cell.gates]
        if quantity in names:  # an RNN's only gate is its hidden state
            return self.gates[:, names.index(quantity)]
        if quantity == "hidden":
            return self.h
        assert self.c is not None
        return of_carried(self.c, cell, quantity)


def of_carried(c: Tensor, cell: Cell, quantity: str) -> Tensor:
    """(..., H) one of the vectors that are carried beside h, from all of them (..., C*H)."""
    return c if cell.C == 1 else c.chunk(cell.C, -1)[cell.carried.index(quantity)]


class GradientRecord:
    """Where a run's backward leaves dL/d(each state and gate of every step).

    Attributes:
        found: their sum over all backwards so far, as a parameter's `.grad` is; None before any.
    """

    def __init__(self) -> None:
        self.found: StepGradients | None = None

    def add(self, d: StepGradients) -> None:
        before = self.found
        if before is not None:
            c = None if d.c is None or before.c is None else before.c + d.c
            d = StepGradients(before.h + d.h, c, before.gates + d.gates)
        self.found = d


class Record(NamedTuple):
    """What a run hands to its caller. Every tensor is connected to autograd.

    `h` and the last states are always there; the rest where the call asked to record, or where
    the engine has it anyway.
    """

    h: Tensor  # (N, P)
    h_n: Tensor  # (B, P)  the last states have memory of their own
    c_n: Tensor | None = None  # (B, C*H)
    c: Tensor | None = None  # (N, C*H)
    gates: Tensor | None = None  # (N, G, H)
    pre: Tensor | None = None  # (N, G, H)

    @classmethod
    def of(
        cls,
        call: Call,
        h: Tensor,
        c: Tensor | None,
        gates: Tensor | None,
        pre: Tensor | None,
    ) -> "Record":
        """The record of every step, with the last states copied from it."""
        last = call.packing.last
        c_n = None if c is None else last(c, call.reverse).clone()
        return cls(h=h, h_n=last(h, call.reverse).clone(), c_n=c_n, c=c, gates=gates, pre=pre)


class Engine(Protocol):
    """How a cell runs over a sequence. Engines differ only in speed."""

    name: str

    def refuses(self, call: Call) -> str | None:
        """Why this engine cannot run the call, or None if it can."""
        ...

    def run(self, call: Call) -> Record:
        """Runs it. Called only where `refuses` is None."""
        ...

    def step(self, call: Call) -> tuple[Tensor, Tensor | None]:
        """h (B, P) and c (B, C*H) after a call of one step. Called only where `refuses` is None."""
        ...


class WritesBackward(Protocol):
    """What an engine that writes its backward out has besides: its halves, without autograd.

    The tensors of the call are in one dtype, and no autocast is on.
    """

    def forward(self, call: Call) -> Steps:
        """All that the backward needs, which is all that there is to see."""
        ...

    def backward(
        self, call: Call, steps: Steps, grads: Steps, needed: tuple[bool, ...], of_steps: bool
    ) -> tuple[tuple[Tensor | None, ...], StepGradients | None]:
        """dL/d(x, h_0, c_0 and each weight), from dL/d(steps); and, if `of_steps`, dL/d(each state
        and gate of every step).

        Args:
            needed: for each of the first, whether it is asked for; the others are ignored.
        """
        ...


def writes_backward(engine: object) -> TypeGuard[WritesBackward]:
    """Whether an engine has the two halves. (An isinstance would take longer than a short call.)"""
    return hasattr(engine, "backward")
