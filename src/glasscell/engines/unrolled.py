"""A cell over packed tokens, step by step, in ordinary differentiable operations."""

import torch
from torch import Tensor

from glasscell.cells import Step
from glasscell.engines.call import Call, Steps
from glasscell.engines.edits import step_edits
from glasscell.engines.noise import step_noise


def unrolled(call: Call) -> Steps:
    """All steps, one after the other; autograd, or any function transform, sees each of them."""
    cell, w, h, c = call.cell, call.weights, call.h_0, call.c_0
    steps: list[Step] = []
    visited = list(call.packing.steps(call.reverse))
    all_edits, all_noise = step_edits(call.edits, visited), step_noise(call, visited)
    for rows, edits, noise in zip(visited, all_edits, all_noise, strict=True):
        b = rows.stop - rows.start
        step = cell.step(call.x[rows], h[:b], None if c is None else c[:b], w, edits, noise)
        steps.append(step)
        # h, c: each sequence's newest state, longest first; the first b of them have moved on
        h = replace_first(h, step.h)
        c = None if c is None or step.c is None else replace_first(c, step.c)
    if call.reverse:
        steps.reverse()

    def column(name: str) -> Tensor:
        return torch.cat([getattr(step, name) for step in steps])

    return Steps(
        h=column("h"),
        c=column("c") if cell.has_cell_state else None,
        gates=column("gates"),
        pre=column("pre"),
        q=None if steps[0].q is None else column("q"),
    )


def replace_first(states: Tensor, newest: Tensor) -> Tensor:
    """The (B, H) states with the first b rows replaced by the (b, H) newest."""
    b = newest.shape[0]
    return newest if b == states.shape[0] else torch.cat((newest, states[b:]))
