"""What the LSTM, GRU and RNN layers share: weights, checks, layers and directions, records."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.hooks import RemovableHandle

from glasscell import ops
from glasscell.cells import Cell, Custom, Weights, spec
from glasscell.engines import ENGINES, Call, Choice, Record, combined, explain
from glasscell.engines.fused import lay_out_for_cudnn
from glasscell.errors import InputError
from glasscell.nn import arguments, compiled
from glasscell.nn.edits import LayerEdit
from glasscell.nn.first_weights import FirstWeights
from glasscell.nn.layout import Layout, read_packed, read_padded
from glasscell.nn.options import Chance, Stochastic, cell_of
from glasscell.nn.record import LayerRecord, layer_name, with_gradients
from glasscell.nn.states import States, initial_states, last_states

Device = torch.device | str | int | None
Lengths = Tensor | Sequence[int] | None

# In the order of `Weights`: as torch.nn calls them, and then those it does not have.
WEIGHT_NAMES = (
    "weight_ih",
    "weight_hh",
    "bias_ih",
    "bias_hh",
    "weight_hr",
    "weight_peephole",
    "weight_gates",
    "gain",
    "cell_gain",
)

BESIDE_THE_GRAPH = (
    "a layer that is traced or edited, under a torch.func transform, in training with noise in its "
    "recurrence, with zoneout, or with a step of one's own runs beside the graph: compile without "
    "fullgraph=True"
)

RecordHook = Callable[["Recurrent", tuple[LayerRecord, ...]], None]


class Recurrent(nn.Module):
    """Stacked recurrent layers of any cell over sequences.

    `LSTM`, `GRU` and `RNN` are this with a cell of their kind, and say what shapes it takes.

    Args:
        input_size, ..., dtype: as for `LSTM`; `proj_size` where the cell has a cell state.
        cell: a variant's name ("peephole"), a line ("lstm(forget_gate=None)"), a `cells.Cell`, or
            a step of one's own, `cells.Custom`.
        engine: "auto", or the name of one engine, which then runs or raises.
        stochastic: gates whose values are drawn in training with the odds they give: ("forget",
            "output"), or {"forget": "gumbel"}.
        zoneout: how often, in training, a unit's state stays as it was: one rate, or one for the
            cell and one for the hidden state (Krueger et al. 2017).
        recurrent_dropout: how often a unit's hidden state is not read by the recurrence, for a
            whole sequence (Gal and Ghahramani 2016).
        weight_dropout: how often a recurrent weight is 0, for a whole batch (Merity et al. 2018).
        init: "torch", or "glorot": Glorot's for the input's weights, orthogonal for the recurrent
            ones, gate by gate.
        forget_bias: what the bias of the gate that keeps the state begins with.
        chrono: the longest time that is to be remembered, in steps; biases begin accordingly
            (Tallec and Ollivier 2018).

    Random numbers come from torch's generator: `torch.manual_seed` makes runs the same.

    Raises:
        InputError: no such cell; an option that the cell cannot have.

    Example:
        >>> layer = glasscell.Recurrent(3, 8, num_layers=2, cell="janet", zoneout=0.1)
        >>> output, (h_n, c_n) = layer(torch.randn(35, 4, 3))
        >>> output.shape, layer.weight_hh_l0.shape  # two gates
        (torch.Size([35, 4, 8]), torch.Size([16, 8]))
    """

    cell: Cell
    weight_ih_l0: nn.Parameter
    weight_hh_l0: nn.Parameter
    _usual_cell: Cell | None = None  # what needs no saying

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
        *,
        cell: Cell | str = "lstm",
        engine: str = "auto",
        stochastic: Stochastic = (),
        zoneout: float | tuple[float, float] = 0.0,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        init: str = "torch",
        forget_bias: float | None = None,
        chrono: float | None = None,
    ) -> None:
        super().__init__()
        arguments.check_options(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size
        )
        cell = cell_of(cell, stochastic)
        if proj_size and (not cell.has_cell_state or isinstance(cell, Custom)):
            raise InputError(f"proj_size: {cell.noun} has no projection, got {proj_size}")
        self.cell = cell
        self.chance = Chance.of(cell, zoneout, recurrent_dropout, weight_dropout)
        self.first_weights = FirstWeights(init, forget_bias, chrono)
        # whether chance has a part in it, in training at least
        self._is_random = self.chance != Chance() or cell.is_stochastic
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
        self._gradient_hooks: OrderedDict[int, bool] = OrderedDict()  # those who want gradients too
        self._edits: OrderedDict[int, tuple[int, bool, LayerEdit]] = OrderedDict()

        self._weight_names: dict[tuple[int, bool], list[str | None]] = {}  # in order of `Weights`
        for layer in range(num_layers):
            for reverse, suffix in enumerate(self._directions):
                shapes = self._parameter_shapes(layer)
                for name, shape in shapes.items():
                    weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(f"{name}_l{layer}{suffix}", weight)
                self._weight_names[layer, bool(reverse)] = [
                    f"{name}_l{layer}{suffix}" if name in shapes else None for name in WEIGHT_NAMES
                ]
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

    @property
    def carried_size(self) -> int:
        """C*H, the size of what is carried beside the hidden state: H for a cell state alone."""
        return self.cell.C * self.hidden_size

    def _parameter_shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        """The weights of one layer in one direction, in the order torch.nn creates them."""
        columns = self.input_size if layer == 0 else self.output_size * len(self._directions)
        names = dict(zip(Weights._fields, WEIGHT_NAMES, strict=True))
        try:
            shapes = self.cell.shapes(columns, self.hidden_size, self.output_size, self.bias)
        except ValueError as error:
            raise InputError(str(error)) from None
        return {names[letter]: shape for letter, shape in shapes.items()}

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
        own = self._parameters
        # a parametrization puts something else in a parameter's place
        found = [
            None if name is None else own[name] if name in own else getattr(self, name)
            for name in self._weight_names[layer, reverse]
        ]
        return Weights(*found)  # type: ignore[arg-type]

    def reset_parameters(self) -> None:
        """Draws every weight anew: from U(-1/sqrt(H), 1/sqrt(H)), in torch.nn's order, where
        `init` says nothing else.
        """
        for layer, reverse in self._weight_names:
            self.first_weights.draw(self.cell, self.weights(layer, reverse))

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
            torch._dynamo.graph_break(msg=BESIDE_THE_GRAPH)  # what fullgraph=True says
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
        states = self._initial_states(hx, layout, x)
        watched = bool(self._record_hooks)
        records: list[Record] = []
        shown: list[LayerRecord] = []

        def run(layer: int, reverse: bool, x: Tensor) -> Record:
            call = self._call(layer, reverse, x, layout, states[len(records)], watched)
            record = ops.run(call, self.engine)
            records.append(record)
            if watched:
                shown.append(LayerRecord(layer_name(layer, reverse), call, record, layout))
            return record

        x = self._stack(x, run)  # (N, D*P)
        for hook in list(self._record_hooks.values()):
            hook(self, tuple(shown))
        last = last_states(self, records, layout.batched, layout.callers_states)
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
        states: States,
        record: bool,
    ) -> Call:
        weights = self.chance.weights(self.weights(layer, reverse), self.training)
        call = Call(self.cell, weights, x, layout.packing, *states, reverse, record)
        if self._is_random:
            noise = self.chance.noise(self.cell, call.h_0, self.training)
            call = call._replace(noise=noise)
        if self._edits:
            edits = [
                each.over(layout, self._width(each.quantity), weights.W)
                for l, r, each in self._edits.values()
                if (l, r) == (layer, reverse)
            ]
            call = call._replace(edits=combined([each for each in edits if each is not None]))
        return with_gradients(call) if self._gradient_hooks else call

    def _width(self, quantity: str) -> int:
        """H, or P for the hidden state."""
        return self.output_size if quantity == "hidden" else self.hidden_size

    def _read_input(
        self, input: Tensor | PackedSequence, lengths: Lengths
    ) -> tuple[Layout, Tensor]:
        arguments.check_input(self, input)
        arguments.check_lengths_apply(input, lengths)
        if isinstance(input, PackedSequence):
            return read_packed(input, self.batch_first)
        return read_padded(input, self.batch_first, lengths)

    def _initial_states(
        self, hx: Tensor | tuple[Tensor, Tensor] | None, layout: Layout, x: Tensor
    ) -> list[States]:
        return initial_states(self, hx, x, layout.packing.B, layout.batched, layout.sorted_states)

    def _write_output(
        self, tokens: Tensor, input: Tensor | PackedSequence, layout: Layout
    ) -> Tensor | PackedSequence:
        if isinstance(input, PackedSequence):
            return PackedSequence(
                tokens, input.batch_sizes, input.sorted_indices, input.unsorted_indices
            )
        return layout.padded(tokens)

    # Looking in

    def register_record_hook(self, hook: RecordHook, *, gradients: bool = False) -> RemovableHandle:
        """Calls `hook(module, records)` after every forward with one `LayerRecord` for each layer
        and direction. While a hook is registered, engines record. `glasscell.trace` is built
        on this.

        Args:
            gradients: whether a backward is to leave dL/d(each state and gate of every step) in
                each record's `call.gradients`.
        """
        handle = RemovableHandle(self._record_hooks, extra_dict=self._gradient_hooks)
        self._record_hooks[handle.id] = hook
        if gradients:
            self._gradient_hooks[handle.id] = True
        return handle

    def register_edit(self, edit: LayerEdit, layer: int = 0, reverse: bool = False):
        """Changes what one layer in one direction computes, inside the recurrence, until the handle
        that comes back is removed. Edits act in the order of their registration.
        `glasscell.edit` is built on this.
        """
        handle = RemovableHandle(self._edits)
        self._edits[handle.id] = (layer, reverse, edit)
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
        states = self._initial_states(hx, layout, x)
        call = self._call(0, False, x, layout, states[0], bool(self._record_hooks))
        return explain(call, self.engine)

    # Being a module

    def __setattr__(self, name: str, value) -> None:
        if name == "engine" and value != "auto" and value not in ENGINES:
            known = ", ".join(f'"{engine}"' for engine in ("auto", *ENGINES))
            raise InputError(f"engine: expected one of {known}, got {value!r}")
        super().__setattr__(name, value)

    def __getstate__(self) -> dict:
        # Whoever watches or edits this layer does not watch or edit its copies.
        empty = {name: OrderedDict() for name in ("_record_hooks", "_gradient_hooks", "_edits")}
        return {**self.__dict__, **empty}

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
        if self.cell != self._usual_cell:
            text += f", cell={spec.shortest(self.cell)!r}"
        for options in (self.chance, self.first_weights):
            for field in fields(options):
                if (value := getattr(options, field.name)) != field.default:
                    text += f", {field.name}={value!r}"
        return text


def _outside_the_graph() -> Callable:
    """`Recurrent._forward` as one opaque call. Made here: importing the compiler takes seconds."""
    return torch.compiler.disable(Recurrent._forward, reason=BESIDE_THE_GRAPH)
