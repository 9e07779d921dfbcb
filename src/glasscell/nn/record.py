"""What a layer hands to those who look into it: its record, and what it takes to read it."""

from dataclasses import dataclass

from glasscell.engines import Call, Record
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
