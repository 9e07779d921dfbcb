"""The autograd boundary: a whole sequence as one node of the graph, never one for each step.

An engine that goes through it computes without a graph, and writes its backward out. What such a
backward cannot do, a gradient with a graph of its own (`create_graph=True`, double backward), is
computed by autograd through the unrolled steps instead: slower, and the same numbers.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from glasscell.engines.call import Call, Steps
from glasscell.engines.unrolled import unrolled

Forward = Callable[[Call], Steps]
# dL/d(each of Call.tensors()) from the call, its steps, dL/d(steps), and which are needed
Backward = Callable[[Call, Steps, Steps, tuple[bool, ...]], tuple[Tensor | None, ...]]


def bounded(call: Call, forward: Forward, backward: Backward) -> Steps:
    """Runs `forward` as one node whose backward is `backward`."""
    return Steps(*_Sequence.apply(call, forward, backward, *call.tensors()))


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, call: Call, forward: Forward, backward: Backward, *tensors: Tensor | None):
        steps = forward(call.with_tensors(tensors))
        ctx.call = call.with_tensors([None] * len(tensors))  # the graph keeps its own
        ctx.backward_of_engine = backward
        ctx.save_for_backward(*tensors, *steps)
        ctx.set_materialize_grads(False)
        return tuple(steps)

    @staticmethod
    def backward(ctx, *grads):
        saved = ctx.saved_tensors  # asked for once: whoever offloads them fetches them each time
        n = len(saved) - len(Steps._fields)
        call = ctx.call.with_tensors(saved[:n])
        needed = ctx.needs_input_grad[3:]
        if torch.is_grad_enabled():  # create_graph=True: the gradient itself must have a graph
            found = _differentiable_backward(call, needed, Steps(*grads))
        else:
            steps = Steps(*saved[n:])
            found = ctx.backward_of_engine(call, steps, Steps(*grads), tuple(needed))
        return None, None, None, *(g if n else None for g, n in zip(found, needed, strict=True))


def _differentiable_backward(
    call: Call, needed: tuple[bool, ...], grads: Steps
) -> list[Tensor | None]:
    """The same gradients, computed by autograd through the unrolled steps.

    The inputs are taken by new names, so that a path from one input to another, which is the
    caller's affair, is not followed here.
    """
    with torch.enable_grad():
        inputs = [None if t is None else t.view_as(t) for t in call.tensors()]
        steps = unrolled(call.with_tensors(inputs))
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
