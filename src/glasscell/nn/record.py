"""What a layer hands to those who look into it: its record, and what it takes to read it."""

from dataclasses import dataclass

import torch

from glasscell.engines import Call, GradientRecord, Record
from glasscell.nn.layout import Layout


@dataclass(frozen=True)
class LayerRecord:
    """The record of one layer in one direction, with what it takes to read it.

    Attributes:
        name: "l0", "l0_reverse", "l1", ...
        call: what was run.
        record: what came out, in packed tokens.
        layout: how the caller's sequences lie.
    """

    name: str
    call: Call
    record: Record
    layout: Layout


def layer_name(layer: int, reverse: bool) -> str:
    """The name of layer number `layer` in one direction: "l0", "l0_reverse"."""
    return f"l{layer}_reverse" if reverse else f"l{layer}"


def with_gradients(call: Call) -> Call:
    """The same call, whose backward is to leave the gradients of every step."""
    call = call._replace(gradients=GradientRecord())
    wants_gradient = (t is not None and t.requires_grad for t in call.tensors())
    if torch.is_grad_enabled() and not any(wants_gradient):
        # nothing here learns: but there is a backward only where something does
        call = call._replace(h_0=call.h_0.clone().requires_grad_())
    return call
