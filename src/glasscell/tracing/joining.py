"""Calls of one step each, one after the other, as the trace of one sequence."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from glasscell.engines import GradientRecord, Packing, Record, RunEdit, combined
from glasscell.errors import InputError
from glasscell.nn.layout import Layout
from glasscell.tracing.layer import LayerTrace
from glasscell.tracing.step_gradients import joined_gradients


def are_steps(calls: Sequence[LayerTrace]) -> bool:
    """Whether the calls of a one-step cell can be the steps of one sequence batch."""
    return len({call.layout.packing.B for call in calls}) == 1


def joined(calls: Sequence[LayerTrace]) -> LayerTrace:
    """The calls of a one-step cell, one after the other, as the steps of one sequence batch.

    Raises:
        InputError: the calls had batches of different sizes.
    """
    first = calls[0]
    if not are_steps(calls):
        raise InputError(
            f"{first.name}: its calls had batches of different sizes, so they are not the steps "
            "of one sequence; read them one by one with trace.calls(name)"
        )

    def column(name: str) -> Tensor | None:
        pieces = [getattr(call.record, name) for call in calls]
        return None if pieces[0] is None else torch.cat(pieces)

    last = calls[-1].record
    record = Record(
        h=torch.cat([call.record.h for call in calls]),
        h_n=last.h_n,
        c_n=last.c_n,
        c=column("c"),
        gates=column("gates"),
        pre=column("pre"),
    )
    T = len(calls)
    packing = Packing.dense(T, first.layout.packing.B)
    layout = Layout(packing, batched=first.layout.batched, T=T)
    edits = combined([edit for k, call in enumerate(calls) for edit in _shifted(call, k, T)])
    gradients = None
    if first.gradients is not None:
        gradients = GradientRecord()
        gradients.found = joined_gradients(
            [None if call.gradients is None else call.gradients.found for call in calls]
        )
    return replace(first, record=record, layout=layout, edits=edits, gradients=gradients)


def _shifted(call: LayerTrace, k: int, T: int) -> list[RunEdit]:
    """The edits of step k of T, as edits of all of them."""
    B = call.layout.packing.B

    def rows(edit: RunEdit) -> Tensor:
        of_all = torch.full((T * B,), -1)
        of_all[k * B : (k + 1) * B] = edit.rows
        return of_all

    return [edit._replace(rows=rows(edit)) for edit in call.edits]
