"""How often gates are stuck open or shut.

Karpathy, Johnson and Li 2015, "Visualizing and Understanding Recurrent Networks", section 4.2.
"""

from dataclasses import dataclass

from torch import Tensor

from glasscell.errors import InputError
from glasscell.tracing import LayerTrace


@dataclass(frozen=True, eq=False)
class Saturation:
    """How often one gate is saturated, unit by unit.

    Attributes:
        left: (H,) fraction of the steps, 0 to 1, in which the gate is nearly shut.
        right: (H,) fraction of the steps, 0 to 1, in which it is nearly open.
    """

    left: Tensor
    right: Tensor


def sigmoid_gates(layer: LayerTrace) -> tuple[str, ...]:
    """The gates of a layer that open and shut, between 0 and 1: an LSTM's three, a GRU's two,
    none of a simple RNN's.

    Example:
        >>> analysis.sigmoid_gates(trace["l0"])
        ('input_gate', 'forget_gate', 'output_gate')
    """
    return tuple(gate.name for gate in layer.gate_maps if gate.opens)


def saturation(layer: LayerTrace, low: float = 0.1, high: float = 0.9) -> dict[str, Saturation]:
    """The fraction of steps in which each unit's gates are left- and right-saturated.

    A gate is left-saturated in a step where its activation is below `low`, and right-saturated
    where it is above `high` (Karpathy, Johnson and Li 2015). The real steps of all sequences count.

    Args:
        layer: a recorded LSTM or GRU layer.
        low, high: the two bounds, activations between 0 and 1.

    Returns:
        A `Saturation` for each sigmoid gate, by the gate's name, in the order of the cell.

    Raises:
        InputError: the layer has no sigmoid gate (a simple RNN), or the bounds are not in order.

    Example:
        >>> stuck = analysis.saturation(trace["l0"])
        >>> stuck["forget_gate"].right.shape  # how often each unit's gate is nearly open
        torch.Size([8])
    """
    if not 0 <= low <= high <= 1:
        raise InputError(f"low, high: expected 0 <= low <= high <= 1, got {low} and {high}")
    names = sigmoid_gates(layer)
    if not names:
        raise InputError(
            f"{layer.name}: {layer.definition.noun} has no gates that open and shut, so none can "
            "saturate; saturation is for an LSTM or a GRU"
        )
    found = {}
    for name in names:
        gate = layer.tokens(name).detach()  # (N, H)
        found[name] = Saturation(
            left=(gate < low).double().mean(0), right=(gate > high).double().mean(0)
        )
    return found
