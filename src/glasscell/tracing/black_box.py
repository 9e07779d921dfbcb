"""Records of layers that keep none: torch.nn's own, and one-step cells, by replay.

Their outputs are whatever they computed. The record is made afterwards, from those outputs.
"""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from glasscell import cells, ops
from glasscell.cells import Cell, Weights
from glasscell.engines import Call, GradientRecord, Packing, observed, replay
from glasscell.errors import InputError
from glasscell.nn import LayerRecord, Recurrent
from glasscell.nn.layers import rnn_cell
from glasscell.nn.layout import Layout, read_packed, read_padded
from glasscell.nn.one_step import RecurrentCell
from glasscell.nn.record import layer_name
from glasscell.tracing.twins import active_twin

CELLS: dict[str, Cell] = {
    "LSTM": cells.LSTM(),
    "GRU": cells.GRU(),
    "RNN_TANH": rnn_cell("tanh"),
    "RNN_RELU": rnn_cell("relu"),
}


def cell_of(module: nn.Module) -> Cell:
    """The equations of a recurrent module, Glasscell's or torch.nn's."""
    if isinstance(module, (Recurrent, RecurrentCell)):
        return module.cell
    if isinstance(module, nn.RNNBase):
        return CELLS[module.mode]
    if isinstance(module, nn.LSTMCell):
        return cells.LSTM()
    if isinstance(module, nn.GRUCell):
        return cells.GRU()
    assert isinstance(module, nn.RNNCell)
    return rnn_cell(module.nonlinearity)


def record_layer(
    module: nn.RNNBase, input: Any, hx: Any, output: Any, random_state: Tensor | None
) -> list[LayerRecord]:
    """The records of a torch.nn.LSTM, GRU or RNN that has just run.

    The last layer's come from its own output. The layers below it show nothing, so they are
    run again, one by one, through the same operation.

    Args:
        random_state: the generator's state before the module ran, where it drops hidden states
            between layers, so that the same ones are dropped again.
    """
    cell = CELLS[module.mode]
    if isinstance(input, PackedSequence):
        layout, x = read_packed(input, module.batch_first)
    else:
        layout, x = read_padded(input, module.batch_first, None)
    h_0, c_0 = _initial_states(module, cell, hx, layout, x)
    D = 2 if module.bidirectional else 1
    shown = output[0].data if isinstance(input, PackedSequence) else layout.tokens(output[0])

    def call(k: int, x: Tensor) -> Call:
        return Call(
            cell=cell,
            weights=_weights(module, module.all_weights[k]),
            x=x,
            packing=layout.packing,
            h_0=h_0[k],
            c_0=None if c_0 is None else c_0[k],
            reverse=k % D == 1,
        )

    records: list[LayerRecord] = []
    with replayed_randomness(random_state):
        for layer in range(module.num_layers):
            if layer > 0 and random_state is not None:
                x = F.dropout(x, module.dropout)
            calls = [call(layer * D + d, x) for d in range(D)]
            is_last = layer == module.num_layers - 1
            if is_last and random_state is not None:
                again = torch.cat([ops.run(each).h for each in calls], -1)
                _check_same_dropout(module, again, shown)
            hs = list(shown.chunk(D, -1)) if is_last else [ops.run(each).h for each in calls]
            for each, h in zip(calls, hs, strict=True):
                name = layer_name(layer, each.reverse)
                records.append(LayerRecord(name, each, replay(each, h), layout))
            x = hs[0] if D == 1 else torch.cat(hs, -1)
    return records


def _check_same_dropout(module: nn.RNNBase, again: Tensor, shown: Tensor) -> None:
    """Raises unless the layers below the last were run again with the dropout that really was.

    Rounding differs by far less than a tenth of the whole; another dropout, by far more.
    """
    both = again.isfinite() & shown.isfinite()
    again, shown = again[both].double(), shown[both].double()
    if (again - shown).norm() > 0.1 * shown.norm():
        raise InputError(
            f"this torch.nn.{module.mode} drops hidden states between layers and keeps no note of "
            "which, so its lower layers cannot be traced in training here. Trace it in "
            f"evaluation, model.eval(), or use glasscell.{module.mode.split('_')[0]}"
        )


def random_state_before(module: nn.RNNBase) -> Tensor | None:
    """The generator's state, if the module is about to draw from it; to be asked before it runs."""
    draws = module.training and module.dropout > 0 and module.num_layers > 1
    return torch.get_rng_state() if draws else None


def record_step(module: nn.RNNCellBase | RecurrentCell, input: Any, hx: Any, output: Any):
    """The record of a one-step cell, torch.nn's or ours, that has just run."""
    own = active_twin(module) or module
    if isinstance(own, RecurrentCell) and own._edits:
        assert own.edited_record is not None
        return own.edited_record
    cell = cell_of(module)
    batched = input.dim() == 2
    x = input if batched else input.unsqueeze(0)  # (B, I)

    def rows(state: Tensor | None) -> Tensor:
        if state is None:
            return x.new_zeros(x.shape[0], module.hidden_size)
        return state if batched else state.unsqueeze(0)

    h_before, c_before = (hx or (None, None)) if cell.has_cell_state else (hx, None)
    h = output[0] if cell.has_cell_state else output
    layout = Layout(Packing.dense(1, x.shape[0]), batched=batched, T=1)
    w = Weights(module.weight_ih, module.weight_hh, module.bias_ih, module.bias_hh)  # type: ignore[arg-type]
    c_0 = rows(c_before) if cell.has_cell_state else None
    call = Call(cell, w, x, layout.packing, rows(h_before), c_0)
    return LayerRecord("", call, replay(call, rows(h)), layout)


def observed_step(record: LayerRecord, output: Any) -> tuple[LayerRecord, Any]:
    """The same record and output; a backward through them leaves the gradients of the step."""
    batched = record.layout.batched
    call = record.call._replace(gradients=GradientRecord())
    states = output if isinstance(output, tuple) else (output,)
    h, *c = (state if batched else state.unsqueeze(0) for state in states)
    shown = observed(call, record.record._replace(h=h, h_n=h, c_n=c[0] if c else None))
    states = [state for state in (shown.h, shown.c_n) if state is not None]
    states = [state if batched else state.squeeze(0) for state in states]
    output = tuple(states) if isinstance(output, tuple) else states[0]
    return replace(record, call=call, record=shown), output


def _weights(module: nn.RNNBase, tensors: list[nn.Parameter]) -> Weights:
    W, U, *rest = tensors
    b_x, b_h = (rest[0], rest[1]) if module.bias else (None, None)
    return Weights(W, U, b_x, b_h, V=rest[-1] if module.proj_size else None)


def _initial_states(
    module: nn.RNNBase, cell: Cell, hx: Any, layout: Layout, x: Tensor
) -> tuple[Tensor, Tensor | None]:
    """h (L*D, B, P) and c (L*D, B, H), longest sequence first."""
    LD, B = len(module.all_weights), layout.packing.B
    if hx is None:
        h_0 = x.new_zeros(LD, B, module.proj_size or module.hidden_size)
        return h_0, x.new_zeros(LD, B, module.hidden_size) if cell.has_cell_state else None
    states = hx if cell.has_cell_state else (hx,)
    states = [state if layout.batched else state.unsqueeze(1) for state in states]
    h_0, *c_0 = (layout.sorted_states(state) for state in states)
    return h_0, c_0[0] if c_0 else None


class replayed_randomness:
    """Runs a block from an earlier state of the generator, and puts the present one back."""

    def __init__(self, state: Tensor | None) -> None:
        self.state = state

    def __enter__(self) -> None:
        if self.state is not None:
            self.now = torch.get_rng_state()
            torch.set_rng_state(self.state)

    def __exit__(self, *_: object) -> None:
        if self.state is not None:
            torch.set_rng_state(self.now)
