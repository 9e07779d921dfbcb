"""One recurrent layer, seen from inside: every gate, state and pre-activation of every step."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glasscell.cells import Cell, Custom, GateMap
from glasscell.engines import GradientRecord, Record, RunEdit
from glasscell.engines.call import of_carried
from glasscell.engines.noise import RunNoise
from glasscell.errors import InputError
from glasscell.nn.layout import Layout
from glasscell.nn.record import LayerRecord
from glasscell.tracing.carry import Scales, carry_of
from glasscell.tracing.step_gradients import TraceGradients


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """What one layer computed in one direction, in one call.

    Read a quantity by its name, `layer.forget_gate` or `layer["forget_gate"]`, and what went into
    a gate's squash as `layer.pre.forget_gate`. Tensors have the layout of the layer's own output,
    one direction wide: (T, B, H), (B, T, H) with batch_first, (T, H) for a single sequence; a
    `PackedSequence` is shown padded. Steps after a sequence's end hold zeros; `tokens` and
    `sequence` leave them out.

    Attributes:
        name: where it is in the model: "encoder.l0", "encoder.l0_reverse".
        definition: the cell's equations: its gate maps, in the order in which `record` stacks them.
        record: the packed tensors: h (N, P), c (N, C*H), gates and pre (N, G, H).
        layout: how the caller's sequences lie in them.
        h_0, c_0: (B, P) and (B, C*H), the states the recurrence started from, longest sequence
            first.
        reverse: whether the recurrence ran from each sequence's end. Step t is always about
            input t, in both directions.
        edits: what was changed inside the recurrence, quantity by quantity. What is recorded is
            what the layer went on with; a pre-activation is what its equation gave.
        gradients: where a backward leaves dL/d(each of these), if it was asked to.
        noise: what chance did in the run. A gate that was drawn is recorded as drawn.
    """

    name: str
    definition: Cell
    record: Record
    layout: Layout
    h_0: Tensor
    c_0: Tensor | None = None
    reverse: bool = False
    edits: tuple[RunEdit, ...] = ()
    gradients: GradientRecord | None = None
    noise: RunNoise | None = None

    @classmethod
    def of(cls, name: str, layer: LayerRecord) -> "LayerTrace":
        """The view of what a layer recorded."""
        call = layer.call
        # The layer's output and its initial states are the caller's, who may write into them
        # later; what is recorded stays what was computed.
        record = layer.record._replace(h=layer.record.h.clone(), h_n=layer.record.h_n.clone())
        c_0 = None if call.c_0 is None else call.c_0.clone()
        h_0, edits, gradients = call.h_0.clone(), call.edits, call.gradients
        return cls(
            name,
            call.cell,
            record,
            layer.layout,
            h_0,
            c_0,
            call.reverse,
            edits,
            gradients,
            call.noise,
        )

    @property
    def kind(self) -> str:
        """What kind of cell it is: "lstm", "gru", "rnn", "slstm", ..."""
        return self.definition.kind

    @property
    def gate_maps(self) -> tuple[GateMap, ...]:
        """The definition of each gate."""
        return self.definition.gates

    @property
    def quantities(self) -> tuple[str, ...]:
        """What can be read, by name: the gates in order, then the states."""
        return self.definition.quantities

    @property
    def lengths(self) -> Tensor:
        """(B,) real steps of each sequence."""
        return self.layout.lengths

    @property
    def hidden_size(self) -> int:
        """H, the number of units."""
        return self._gates.shape[-1]

    @property
    def pre(self) -> "Preactivations":
        """What went into each gate's squash, by the gate's name."""
        return Preactivations(self)

    @property
    def initial_hidden(self) -> Tensor:
        """(B, P) the hidden state the recurrence started from; (P,) for a single sequence."""
        return self._initial(self.h_0)

    @property
    def initial_cell(self) -> Tensor:
        """(B, H) the cell state the recurrence started from; (H,) for a single sequence."""
        if self.c_0 is None:
            raise AttributeError(f"{self.name}: a {self.kind} has no cell state")
        return self._initial(of_carried(self.c_0, self.definition, "cell"))

    @property
    def grad(self) -> TraceGradients:
        """dL/d(each quantity) at every step, by the quantity's name: `layer.grad.cell`.

        Raises:
            InputError: nobody asked for gradients, or no backward has come to this layer yet.
        """
        if self.gradients is None:
            raise InputError(
                f"{self.name}: its gradients were not kept; trace with "
                "glasscell.trace(model, gradients=True) and call backward() on a loss"
            )
        if self.gradients.found is None:
            raise InputError(
                f"{self.name}: no backward has come here yet; call backward() on a loss that "
                "depends on this layer's outputs, computed with gradients enabled and outside of "
                "torch.func's transforms"
            )
        return TraceGradients(self, self.gradients.found)

    def carry(self, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor] | None:
        """(N, H) each, what stays of the state and what is written to it, in packed tokens:
        state_t = keep_t * state_{t-1} + write_t, edits and zoneout included. None for a simple
        RNN, which keeps nothing, and for a step of one's own.

        Args:
            dtype: in which to compute it; the record's own if None.
        """
        gates = self._gates.to(dtype or self._gates.dtype)
        c, c_0, packing = self.record.c, self.c_0, self.layout.packing
        pre, cell = self.record.pre, self.definition
        scales = Scales(cell, pre, c, c_0, packing, self.reverse, self.edits)
        return carry_of(cell, gates, self.edits, self.noise, scales)

    @property
    def why_no_carry(self) -> str:
        """Why `carry` is None where it is, for messages."""
        if isinstance(self.definition, Custom):
            return f"what of its state a {self.kind} step keeps, its definition does not say"
        return f"a {self.kind} writes its whole state anew at each step"

    def tokens(self, quantity: str) -> Tensor:
        """(N, H) a quantity at the real steps only, as packed tokens: time-major, longest
        sequence first. "pre.forget_gate" names a pre-activation.
        """
        if quantity == "hidden":
            return self.record.h
        if quantity in self.definition.carried and self.record.c is not None:
            return of_carried(self.record.c, self.definition, quantity)
        gate = str(quantity).removeprefix("pre.")
        stacked = self._gates if gate == quantity else self._pre
        return stacked[:, self._index(gate)]

    def sequence(self, quantity: str, b: int = 0) -> Tensor:
        """(T_b, H) a quantity over the real steps of sequence b of the caller's batch."""
        return self.of_sequence(self.tokens(quantity), b)

    def of_sequence(self, tokens: Tensor, b: int = 0) -> Tensor:
        """(T_b, ...) the real steps of sequence b of the caller's batch, from packed tokens."""
        B = self.layout.packing.B
        if not -B <= b < B:
            raise InputError(f"b: expected a sequence of the batch, 0 to {B - 1}, got {b}")
        padded = self.layout.padded(tokens)
        if not self.layout.batched:
            return padded
        steps = padded[b] if self.layout.batch_first else padded[:, b]
        return steps[: int(self.lengths[b])]

    def detach(self) -> "LayerTrace":
        """The same numbers, cut off from autograd."""

        def cut(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.detach()

        r = self.record
        record = Record(*(cut(v) for v in (r.h, r.h_n, r.c_n, r.c, r.gates, r.pre)))  # type: ignore[arg-type]
        edits = tuple(
            edit._replace(scale=edit.scale.detach(), shift=edit.shift.detach())
            for edit in self.edits
        )
        h_0, c_0 = self.h_0.detach(), cut(self.c_0)
        return replace(self, record=record, h_0=h_0, c_0=c_0, edits=edits)

    def __getitem__(self, quantity: str) -> Tensor:
        return self.layout.padded(self.tokens(quantity))

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("__") or "definition" not in self.__dict__:  # copied, not whole yet
            raise AttributeError(name)
        if name == "initial_cell":
            raise AttributeError(f"{self.name}: a {self.kind} has no cell state")
        if name not in self.quantities:
            raise AttributeError(f"{name!r}; a layer has {', '.join(self.quantities)}")
        return self[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.quantities]

    def __repr__(self) -> str:
        p = self.layout.packing
        return f"<{self.name}: {self.kind}, {self.hidden_size} units, {p.T} steps, {p.B} sequences>"

    @property
    def _gates(self) -> Tensor:
        assert self.record.gates is not None, "traces are made of whole records"
        return self.record.gates

    @property
    def _pre(self) -> Tensor:
        assert self.record.pre is not None, "traces are made of whole records"
        return self.record.pre

    def _index(self, gate: str) -> int:
        names = [gate_map.name for gate_map in self.gate_maps]
        if gate not in names:
            known = ", ".join((*self.quantities, *(f"pre.{name}" for name in names)))
            raise InputError(f"quantity: expected one of {known}; got {gate!r}")
        return names.index(gate)

    def _initial(self, states: Tensor) -> Tensor:
        states = self.layout.callers_states(states)
        return states if self.layout.batched else states.squeeze(0)


@dataclass(frozen=True)
class Preactivations:
    """A layer's pre-activations, by the names of its gates."""

    layer: LayerTrace

    def __getitem__(self, gate: str) -> Tensor:
        return self.layer[f"pre.{gate}"]

    def __getattr__(self, gate: str) -> Tensor:
        if gate.startswith("__") or "layer" not in self.__dict__:  # copied, not whole yet
            raise AttributeError(gate)
        names = [gate_map.name for gate_map in self.layer.gate_maps]
        if gate not in names:
            raise AttributeError(f"{gate!r}; pre-activations are those of {', '.join(names)}")
        return self[gate]

    def __dir__(self) -> list[str]:
        return [gate_map.name for gate_map in self.layer.gate_maps]
