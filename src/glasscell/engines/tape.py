"""A run whose backward is asked for later, and from elsewhere: what is kept in between.

Inside a compiled graph forward and backward are two operations, and autograd sees neither. An
engine that writes its backward out keeps its steps; for another, autograd records the run here,
within the operation.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from glasscell.engines.boundary import written_gradients
from glasscell.engines.call import (
    Call,
    Engine,
    Record,
    Steps,
    WritesBackward,
    writes_backward,
)
from glasscell.engines.observed import on_steps
from glasscell.engines.precision import in_one_dtype

Gradients = Sequence[Tensor | None]


class Tape(Protocol):
    """What a run keeps for its backward, and what came out of it."""

    @property
    def record(self) -> Record: ...

    @property
    def keeps_inputs(self) -> bool:
        """Whether it holds on to the tensors of the call that ran; else it takes equal ones."""
        ...

    def gradients(self, call: Call, d: Gradients, needed: Sequence[bool]) -> Gradients:
        """dL/d(each of `Call.tensors()`), in their order; None where it is zero or not needed.

        May be asked for more than once.

        Args:
            call: the call that ran.
            d: dL/d(each tensor of the record), in the order of its fields.
            needed: for each tensor of the call, whether its gradient is asked for.
        """
        ...


def taped(call: Call, engine: Engine, needed: Sequence[bool]) -> Tape:
    """Runs the call, under autocast where that is on, and keeps what its gradients need."""
    if writes_backward(engine):
        return _run_written(call, engine)
    leaves = [
        None if tensor is None else tensor.detach().requires_grad_(n)
        for tensor, n in zip(call.tensors(), needed, strict=True)
    ]
    with _autograd():
        return GraphTape(leaves, engine.run(call.with_tensors(leaves)))


def _run_written(call: Call, engine: WritesBackward) -> "StepsTape":
    device = call.x.device.type
    call = in_one_dtype(call)
    if torch.is_autocast_enabled(device):
        with torch.autocast(device, enabled=False):
            return _run_written(call, engine)
    with torch.no_grad():
        steps = engine.forward(call)
        c = None if steps.c is None else steps.c.to(steps.h.dtype)
        return StepsTape(engine, steps, Record.of(call, steps.h, c, steps.gates, steps.pre))


@dataclass(frozen=True)
class StepsTape:
    """The steps of an engine that writes its backward out."""

    engine: WritesBackward
    steps: Steps
    record: Record
    keeps_inputs = False

    def gradients(self, call: Call, d: Gradients, needed: Sequence[bool]) -> Gradients:
        d_steps = on_steps(call, d)
        if d_steps.c is not None and self.steps.c is not None:
            # an engine may keep cell states more exactly
            d_steps = d_steps._replace(c=d_steps.c.to(self.steps.c.dtype))
        exact = call.to(self.steps.h.dtype)
        found = written_gradients(self.engine, exact, self.steps, d_steps, needed)
        return [
            g.to(tensor.dtype) if n and g is not None and tensor is not None else None
            for g, tensor, n in zip(found, call.tensors(), needed, strict=True)
        ]


@dataclass(frozen=True)
class GraphTape:
    """The graph that autograd recorded of a run."""

    leaves: Sequence[Tensor | None]
    record: Record
    keeps_inputs = True

    def gradients(self, call: Call, d: Gradients, needed: Sequence[bool]) -> Gradients:
        outputs = self.record
        reached = [
            (o, g) for o, g in zip(outputs, d, strict=True) if o is not None and g is not None
        ]
        pairs = zip(self.leaves, needed, strict=True)
        wanted = [leaf for leaf, n in pairs if n and leaf is not None]
        found = iter(
            torch.autograd.grad(
                [o for o, _ in reached],
                wanted,
                [g for _, g in reached],
                retain_graph=True,  # it goes with the tape
                allow_unused=True,
            )
        )
        return [next(found) if n else None for n in needed]


@contextmanager
def _autograd() -> Iterator[None]:
    """Lets autograd record even within an operation, where PyTorch keeps it off."""
    key = torch._C.DispatchKey.AutogradFunctionality  # type: ignore[attr-defined]
    with torch._C._SetExcludeDispatchKeyGuard(key, False), torch.enable_grad():  # type: ignore[attr-defined]
        yield
