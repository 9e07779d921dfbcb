"""The autograd boundary: a whole sequence as one node of the graph, never one for each step.

An engine that goes through it computes without a graph, and writes its backward out. What such a
backward cannot do, a gradient with a graph of its own (`create_graph=True`, double backward), is
computed by autograd through the unrolled steps instead: slower, and the same numbers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from glasscell.cells import Weights
from glasscell.engines.call import Call, Steps, WritesBackward
from glasscell.engines.edits import beyond_tables, table_gradients
from glasscell.engines.unrolled import unrolled

INPUTS = 3 + len(Weights._fields)  # x, h_0, c_0 and the weights: what an engine's backward knows


def bounded(call: Call, engine: WritesBackward) -> Steps:
    """Runs an engine's forward as one node whose backward is the engine's."""
    return Steps(*_Sequence.apply(call, engine, *call.tensors()))


def written_gradients(
    engine: WritesBackward, call: Call, steps: Steps, grads: Steps, needed: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """dL/d(each of `Call.tensors()`) that is needed, from dL/d(steps), by an engine's backward.

    Those of every step are left where the call says.
    """
    of_tables = needed[INPUTS:]
    of_steps = call.gradients is not None or any(of_tables)
    found, d = engine.backward(call, steps, grads, tuple(needed[:INPUTS]), of_steps)
    if d is None:
        return *found, *(None for _ in of_tables)
    if call.gradients is not None:
        call.gradients.add(d)
    return *found, *table_gradients(call, steps, d, of_tables)


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, call: Call, engine: WritesBackward, *tensors: Tensor | None):
        steps = engine.forward(call.with_tensors(tensors))
        ctx.call = call.with_tensors([None] * len(tensors))  # the graph keeps its own
        ctx.engine = engine
        ctx.save_for_backward(*tensors, *steps)
        ctx.set_materialize_grads(False)
        return tuple(steps)

    @staticmethod
    def backward(ctx, *grads):
        saved = ctx.saved_tensors  # asked for once: whoever offloads them fetches them each time
        n = len(saved) - len(Steps._fields)
        call, steps = ctx.call.with_tensors(saved[:n]), Steps(*saved[n:])
        needed = ctx.needs_input_grad[2:]
        # create_graph=True: the gradient itself must have a graph
        if torch.is_grad_enabled() or beyond_tables(call, needed[INPUTS::2]):
            found = _differentiable_backward(call, needed, Steps(*grads))
            if call.gradients is not None:
                with torch.no_grad():
                    none = (False,) * len(needed)
                    written_gradients(ctx.engine, call, steps, Steps(*grads), none)
        else:
            found = written_gradients(ctx.engine, call, steps, Steps(*grads), needed)
        return None, None, *(g if n else None for g, n in zip(found, needed, strict=True))


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
