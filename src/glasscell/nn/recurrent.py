"""What the LSTM, GRU and RNN layers share: weights, checks, layers and directions, records."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.hooks import RemovableHandle

from glasscell import ops
from glasscell.cells import Cell, Weights, spec
from glasscell.engines import ENGINES, Call, Choice, Record, explain
from glasscell.engines.fused import lay_out_for_cudnn
from glasscell.errors import InputError
from glasscell.nn import arguments, compiled
from glasscell.nn.layout import Layout, read_packed, read_padded
from glasscell.nn.record import LayerRecord, layer_name

Device = torch.device | str | int | None
Lengths = Tensor | Sequence[int] | None
States = tuple[Tensor, Tensor | None]  # h (L*D, B, P) and c (L*D, B, H)


RecordHook = Callable[["Recurrent", tuple[LayerRecord, ...]], None]


class Recurrent(nn.Module):
    """Stacked recurrent layers over sequences. Use `LSTM`, `GRU` or `RNN`."""

    cell: Cell
    weight_ih_l0: nn.Parameter

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int = 0,
        device: Device,
        dtype: torch.dtype | None,
        engine: str,
    ) -> None:
        super().__init__()
        arguments.check_options(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size
        )
        self.cell = cell
        self._cell_line = spec.line_of(cell)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.engine = engine
        self._record_hooks: OrderedDict[int, RecordHook] = OrderedDict()

        for layer in range(num_layers):
            for suffix in self._directions:
                shapes = self._parameter_shapes(layer)
                for name, shape in shapes.items():
                    weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(f"{name}_l{layer}{suffix}", weight)
        self.reset_parameters()
        self.flatten_parameters()

    # Weights

    @property
    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def output_size(self) -> int:
        """P, the size of each direction's hidden state: `proj_size`, or else `hidden_size`."""
        return self.proj_size or self.hidden_size

    def _parameter_shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        """The weights of one layer in one direction, in the order torch.nn creates them."""
        rows = self.cell.G * self.hidden_size
        columns = self.input_size if layer == 0 else self.output_size * len(self._directions)
        shapes = {"weight_ih": (rows, columns), "weight_hh": (rows, self.output_size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return shapes

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The weights of each layer and direction, as in torch.nn."""
        return [
            [getattr(self, f"{name}_l{layer}{suffix}") for name in self._parameter_shapes(layer)]
            for layer in range(self.num_layers)
            for suffix in self._directions
        ]

    def weights(self, layer: int = 0, reverse: bool = False) -> Weights:
        """The weights of one layer in one direction, under the letters of the equations."""
        suffix = "_reverse" if reverse else ""
        own = self._parameters

        def get(name: str) -> Tensor | None:
            name = f"{name}_l{layer}{suffix}"
            # a parametrization puts something else in a parameter's place
            return own[name] if name in own else getattr(self, name)

        return Weights(
            W=get("weight_ih"),  # type: ignore[arg-type]
            U=get("weight_hh"),  # type: ignore[arg-type]
            b_x=get("bias_ih") if self.bias else None,
            b_h=get("bias_hh") if self.bias else None,
            V=get("weight_hr") if self.proj_size else None,
        )

    def reset_parameters(self) -> None:
        """Draws every weight anew from U(-1/sqrt(H), 1/sqrt(H)), in torch.nn's order."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Lays out each layer's weights in one block of memory, as cuDNN wants them.

        Called where it is needed; does nothing on other devices.
        """
        for layer in range(self.num_layers):
            for reverse in (False, True)[: len(self._directions)]:
                lay_out_for_cudnn(self.cell, self.weights(layer, reverse))

    def _apply(self, fn, recurse: bool = True):
        super()._apply(fn, recurse)
        self.flatten_parameters()
        return self

    # Running

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Lengths = None,
    ) -> Any:
        if torch.compiler.is_compiling():
            # A compiler would unroll the recurrence, step by step; it is one operation instead.
            if compiled.fits_a_graph(self, input, hx):
                return compiled.forward(self, input, hx, lengths)
            run = _outside_the_graph()
            return run(self, input, hx, lengths)
        return self._forward(input, hx, lengths)

    def _forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | tuple[Tensor, Tensor] | None,
        lengths: Lengths,
    ):
        layout, x = self._read_input(input, lengths)
        h_0, c_0 = self._read_states(hx, layout, x)
        record = bool(self._record_hooks)
        records: list[LayerRecord] = []

        def run(layer: int, reverse: bool, x: Tensor) -> Record:
            call = self._call(layer, reverse, x, layout, h_0, c_0, record)
            found = ops.run(call, self.engine)
            records.append(LayerRecord(layer_name(layer, reverse), call, found, layout))
            return found

        x = self._stack(x, run)  # (N, D*P)
        for hook in list(self._record_hooks.values()):
            hook(self, tuple(records))
        found = [each.record for each in records]
        last = self._last_states(found, layout.callers_states, layout.batched)
        return self._write_output(x, input, layout), last

    def _stack(self, x: Tensor, run: Callable[[int, bool, Tensor], Record]) -> Tensor:
        """The hidden states of the last layer, (..., D*P), each layer reading those below it.

        Args:
            x: what the first layer reads.
            run: runs one layer in one direction on what it reads.
        """
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            directions = (False, True)[: len(self._directions)]
            outputs = [run(layer, reverse, x).h for reverse in directions]
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
        return x

    def _call(
        self,
        layer: int,
        reverse: bool,
        x: Tensor,
        layout: Layout,
        h_0: Tensor,
        c_0: Tensor | None,
        record: bool,
    ) -> Call:
        k = layer * len(self._directions) + reverse
        return Call(
            cell=self.cell,
            weights=self.weights(layer, reverse),
            x=x,
            packing=layout.packing,
            h_0=h_0[k],
            c_0=None if c_0 is None else c_0[k],
            reverse=reverse,
            record=record,
        )

    def _read_input(
        self, input: Tensor | PackedSequence, lengths: Lengths
    ) -> tuple[Layout, Tensor]:
        arguments.check_input(self, input)
        arguments.check_lengths_apply(input, lengths)
        if isinstance(input, PackedSequence):
            return read_packed(input, self.batch_first)
        return read_padded(input, self.batch_first, lengths)

    def _read_states(
        self, hx: Tensor | tuple[Tensor, Tensor] | None, layout: Layout, x: Tensor
    ) -> States:
        """The initial states, longest sequence first: h (L*D, B, P) and c (L*D, B, H)."""
        h_0, c_0 = self._initial_states(hx, x, layout.packing.B, layout.batched)
        if hx is None:
            return h_0, c_0
        return layout.sorted_states(h_0), None if c_0 is None else layout.sorted_states(c_0)

    def _initial_states(
        self, hx: Tensor | tuple[Tensor, Tensor] | None, x: Tensor, B: int, batched: bool
    ) -> States:
        """The same in the caller's order: what was given, checked, or zeros."""
        LD = self.num_layers * len(self._directions)
        if hx is None:
            h_0 = x.new_zeros(LD, B, self.output_size)
            c_0 = x.new_zeros(LD, B, self.hidden_size) if self.cell.has_cell_state else None
            return h_0, c_0
        h_0, c_0 = arguments.check_states(self, hx, B, batched)
        if batched:
            return h_0, c_0
        return h_0.unsqueeze(1), None if c_0 is None else c_0.unsqueeze(1)

    def _write_output(
        self, tokens: Tensor, input: Tensor | PackedSequence, layout: Layout
    ) -> Tensor | PackedSequence:
        if isinstance(input, PackedSequence):
            return PackedSequence(
                tokens, input.batch_sizes, input.sorted_indices, input.unsorted_indices
            )
        return layout.padded(tokens)

    def _last_states(
        self, records: list[Record], callers: Callable[[Tensor], Tensor], batched: bool
    ) -> Any:
        """What the layer returns as hx was given, from the records of all layers and directions.

        Args:
            callers: puts (L*D, B, .) states in the caller's order.
        """

        def stacked(states: list) -> Tensor:
            stack = callers(torch.stack(states))  # (L*D, B, .): no view of others
            return stack if batched else stack.squeeze(1)

        h_n = stacked([each.h_n for each in records])
        return (h_n, stacked([each.c_n for each in records])) if self.cell.has_cell_state else h_n

    # Looking in

    def register_record_hook(self, hook: RecordHook) -> RemovableHandle:
        """Calls `hook(module, records)` after every forward with one `LayerRecord` for each layer
        and direction. While a hook is registered, engines record. `glasscell.trace` is built
        on this.
        """
        handle = RemovableHandle(self._record_hooks)
        self._record_hooks[handle.id] = hook
        return handle

    def explain_engine(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Lengths = None,
    ) -> Choice:
        """Which engine runs this input, and why. See `glasscell.explain_engine`."""
        layout, x = self._read_input(input, lengths)
        h_0, c_0 = self._read_states(hx, layout, x)
        call = self._call(0, False, x, layout, h_0, c_0, bool(self._record_hooks))
        return explain(call, self.engine)

    # Being a module

    def __setattr__(self, name: str, value) -> None:
        if name == "engine" and value != "auto" and value not in ENGINES:
            known = ", ".join(f'"{engine}"' for engine in ("auto", *ENGINES))
            raise InputError(f"engine: expected one of {known}, got {value!r}")
        super().__setattr__(name, value)

    def __getstate__(self) -> dict:
        # Whoever is watching this layer does not watch its copies.
        return {**self.__dict__, "_record_hooks": OrderedDict()}

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "engine": "auto",
        }
        for name, default in defaults.items():
            value = getattr(self, name)
            if value != default:
                text += f", {name}={value!r}"
        return text


def _outside_the_graph() -> Callable:
    """`Recurrent._forward` as one opaque call. Made here: importing the compiler takes seconds."""
    return torch.compiler.disable(Recurrent._forward)


def explain_engine(
    layer: Recurrent,
    input: Tensor | PackedSequence,
    hx: Tensor | tuple[Tensor, Tensor] | None = None,
    *,
    lengths: Lengths = None,
) -> Choice:
    """Which engine runs this layer on this input, and why: `print(glasscell.explain_engine(...))`.

    Takes what the layer itself takes and computes nothing. Where an engine was asked for by
    name, it says whether that one can run.

    Raises:
        TypeError: layer is not one of Glasscell's.
        InputError: an input the layer would refuse.
    """
    if not isinstance(layer, Recurrent):
        raise TypeError(f"layer: expected a glasscell.LSTM, GRU or RNN, got {type(layer)!r}")
    return layer.explain_engine(input, hx, lengths=lengths)
