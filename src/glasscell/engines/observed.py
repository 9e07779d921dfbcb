"""The gradients of every step of a run whose own backward hands out none.

Its record passes through a node that changes nothing, forward or backward. But in a backward that
node sees what the loss puts on the record, and follows it through time once more, beside the run.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from glasscell.engines.call import Call, Record, Steps
from glasscell.engines.edits import step_edits
from glasscell.engines.noise import step_noise
from glasscell.engines.through_time import through_time
from glasscell.engines.transforms import active_transform


def observed(call: Call, record: Record) -> Record:
    """The same record; a backward through it leaves dL/d(each state and gate of every step) where
    `call.gradients` says.
    """
    if call.gradients is None or not torch.is_grad_enabled() or active_transform(call.tensors()):
        return record
    leaf = record.h.new_zeros(0, requires_grad=True)  # that there is a backward, whatever learns
    return Record(*_Observed.apply(call, leaf, *record))


def on_steps(call: Call, d: Sequence[Tensor | None]) -> Steps:
    """dL/d(steps) from dL/d(each tensor of the record): last states are those of some step."""
    h, h_n, c_n, c, gates, pre = d
    packing, reverse = call.packing, call.reverse
    h = h if h_n is None else packing.with_last(h, h_n, reverse)
    c = c if c_n is None else packing.with_last(c, c_n, reverse)
    return Steps(h, c, gates, pre, None)  # type: ignore[arg-type]


class _Observed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, call: Call, leaf: Tensor, *record: Tensor | None):
        ctx.call = call.with_tensors([None if t is None else t.detach() for t in call.tensors()])
        ctx.save_for_backward(*record)
        ctx.set_materialize_grads(False)
        # copies: views of one node may not be written into, and the caller's may
        return tuple(None if t is None else t.clone() for t in record)

    @staticmethod
    def backward(ctx, *d):
        record, call = Record(*ctx.saved_tensors), ctx.call
        with torch.no_grad(), torch.autocast(record.h.device.type, enabled=False):
            dtype = torch.promote_types(record.h.dtype, torch.float32)
            exact = call.to(dtype)
            steps = _all_steps(exact, record.h.to(dtype), record.c)
            grads = [None if g is None else g.to(dtype) for g in d]
            call.gradients.add(through_time(exact, steps, on_steps(exact, grads)).of_steps)
        return None, None, *d


def _all_steps(call: Call, h: Tensor, c: Tensor | None) -> Steps:
    """What every step computed, from its states: all steps at once."""
    h_prev = call.packing.previous(h, call.h_0, call.reverse)
    c_prev = None
    if c is not None and call.c_0 is not None:
        c = c.to(h.dtype)
        c_prev = call.packing.previous(c, call.c_0, call.reverse)
    (edits,), (noise,) = step_edits(call.edits, [slice(None)]), step_noise(call, [slice(None)])
    step = call.cell.step(call.x, h_prev, c_prev, call.weights, edits, noise)
    return Steps(h, c, step.gates, step.pre, step.q)
