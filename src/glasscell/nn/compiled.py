"""A layer's forward as a compiler sees it: registered operations, and no loop over steps.

The same layers and directions as in an eager forward. But sequences stay padded, and their
lengths a tensor, so that nothing in the graph depends on how long each of them is.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from glasscell.engines import Record
from glasscell.engines.transforms import compiled_under_transform
from glasscell.nn import arguments
from glasscell.nn.operation import Options, recurrence
from glasscell.nn.states import States, initial_states, last_states

if TYPE_CHECKING:
    from glasscell.nn.recurrent import Lengths, Recurrent


def fits_a_graph(layer: "Recurrent", input: Tensor | PackedSequence, hx: Any) -> bool:
    """Whether this forward can be part of a graph. If not, it runs beside the graph, as it is."""
    if len(layer._record_hooks) > 0:  # the length, because a compiler watches no truth value
        return False  # what hooks do with a record is not the compiler's affair
    if len(layer._edits) > 0:
        return False  # the registered operation knows no edits
    if layer._is_random and (layer.training or any(layer.chance.zoneout)):
        return False  # nor chance
    if layer._cell_line is None:
        return False  # a graph could not say which cell it runs
    if isinstance(input, PackedSequence) and hx is None and input.sorted_indices is None:
        return False  # how many sequences there are stands nowhere but in the values
    return not compiled_under_transform()


def forward(layer: "Recurrent", input: Tensor | PackedSequence, hx: Any, lengths: "Lengths") -> Any:
    """What `Recurrent.forward` returns."""
    arguments.check_input(layer, input)
    arguments.check_lengths_apply(input, lengths)
    if isinstance(input, PackedSequence):
        return _forward_packed(layer, input, hx)
    batched = input.dim() == 3
    x = input if batched else input.unsqueeze(1)
    x = x.transpose(0, 1) if batched and layer.batch_first else x  # (T, B, I)
    states = initial_states(layer, hx, x, x.shape[1], batched, lambda given: given)
    options = Options(lengths=None if lengths is None else torch.as_tensor(lengths))
    output, records = _run(layer, x, states, options)
    if not batched:
        output = output.squeeze(1)
    elif layer.batch_first:
        output = output.transpose(0, 1)
    return output, last_states(layer, records, batched, lambda states: states)


def _forward_packed(layer: "Recurrent", input: PackedSequence, hx: Any) -> Any:
    x, sizes, order, inverse = input
    B = hx[0].shape[-2] if order is None else order.shape[0]

    def sorted_states(given: Tensor) -> Tensor:
        return given if order is None else given[:, order]

    states = initial_states(layer, hx, x, B, True, sorted_states)
    output, records = _run(layer, x, states, Options(batch_sizes=sizes))

    def callers(states: Tensor) -> Tensor:
        return states if inverse is None else states[:, inverse]

    last = last_states(layer, records, True, callers)
    return PackedSequence(output, sizes, order, inverse), last


def _run(
    layer: "Recurrent", x: Tensor, states: list[States], options: Options
) -> tuple[Tensor, list[Record]]:
    """The last layer's hidden states, laid out as x is, and what each layer and direction gave."""
    assert layer._cell_line is not None
    options = options._replace(cell=layer._cell_line, engine=layer.engine)
    records: list[Record] = []

    def run(l: int, reverse: bool, x: Tensor) -> Record:
        h_0, c_0 = states[len(records)]  # layer by layer, and direction by direction
        each = options._replace(reverse=reverse)
        records.append(recurrence(x, h_0, c_0, layer.weights(l, reverse), each))
        return records[-1]

    return layer._stack(x, run), records
