"""Backpropagation through time of one recorded layer, for many losses at once.

What flows back is linear in dL/dh, and the forward run is the same for every loss: so each loss
gets its own copy of the sequence in one large batch, and one backward serves them all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from glasscell.analysis.finite import expect_finite
from glasscell.analysis.without_chance import expect_no_chance
from glasscell.cells import Cell
from glasscell.engines import ENGINES, Call, Packing
from glasscell.engines.call import StepGradients, Steps
from glasscell.errors import InputError
from glasscell.nn import LayerRecord, Recurrent
from glasscell.nn.layout import Layout
from glasscell.tracing import black_box
from glasscell.tracing.twins import active_twin

# Numbers in the largest tensor of one backward, (N, G, H) in float64: 32 MiB.
AT_ONCE = 2**22


class Copies(NamedTuple):
    """Some copies of a run's sequences, and what flowed back through them; all in float64.

    Steps are counted in the recurrence's order: 0 is the one it visited first.
    """

    call: Call  # forward in time, whatever the direction of the run
    steps: Steps
    t: Tensor  # (N,) step of each token
    m: Tensor  # (N,) copy of each token
    d: StepGradients


@dataclass(frozen=True, eq=False)
class Run:
    """What one layer computed in one direction, run again in float64, and its engine.

    Attributes:
        name: "l0", "l1_reverse".
        call, steps: what was run, and everything that came out.
        layout: how the caller's sequences lie.
        dtype: that of the caller's layer.
    """

    name: str
    call: Call
    steps: Steps
    layout: Layout
    dtype: torch.dtype
    engine: Any

    @property
    def cell(self) -> Cell:
        return self.call.cell

    @property
    def lengths(self) -> Tensor:
        """(B,) steps of each sequence, longest first: the order of the packed tokens."""
        return self.call.packing.lengths

    def place(self, b: int) -> int:
        """The packed place of sequence b of the caller's batch.

        Raises:
            InputError: there is no such sequence.
        """
        B = self.call.packing.B
        if not -B <= b < B:
            raise InputError(f"b: expected a sequence of the batch, 0 to {B - 1}, got {b}")
        return b % B if self.layout.inverse is None else int(self.layout.inverse[b])

    def expect_finite(self, b: int | None = None) -> None:
        """Refuses a run, or one sequence of the caller's batch, whose states are not finite."""
        states = torch.cat([v for v in (self.steps.h, self.steps.c) if v is not None], -1)
        expect_finite(self.name, "states", states, self.layout, reverse=self.call.reverse, b=b)

    def rows(self, t: Tensor, b: Tensor) -> Tensor:
        """The row of step t, in the recurrence's order, of the sequences at packed places b."""
        packing = self.call.packing
        if self.call.reverse:
            t = packing.lengths[b] - 1 - t
        return torch.tensor(packing.offsets)[t] + b

    def copy(self, sequences: Tensor, lengths: Tensor) -> tuple[Call, Steps]:
        """Sequences of the run, any of them any number of times, each cut to its first steps.

        Args:
            sequences: (M,) packed places.
            lengths: (M,) how many steps of each, longest first.
        """
        packing = Packing.from_lengths(lengths)
        t, m = packing.step_and_sequence()
        rows = self.rows(t, sequences[m]).to(self.call.x.device)
        places = sequences.to(rows.device)

        def taken(tensor: Tensor | None, at: Tensor) -> Any:
            return None if tensor is None else tensor.index_select(0, at)

        edits = (e._replace(rows=e.rows.index_select(0, rows.cpu())) for e in self.call.edits)
        call = self.call._replace(
            x=taken(self.call.x, rows),
            packing=packing,
            h_0=taken(self.call.h_0, places),
            c_0=taken(self.call.c_0, places),
            reverse=False,
            edits=tuple(edits),
        )
        return call, Steps(*(taken(tensor, rows) for tensor in self.steps))

    def backward(self, sequences: Tensor, dh: Tensor) -> Copies:
        """Whole sequences, longest first, with dL/dh_t (N, P) put on every step of them."""
        call, steps = self.copy(sequences, self.lengths[sequences])
        return self._back(call, steps, dh)

    def backward_from_ends(
        self, sequences: Tensor, lengths: Tensor, d_last: Tensor
    ) -> Iterator[tuple[slice, Copies]]:
        """Copies as `copy` makes them, with dL/dh put on the last step of each; some at a time.

        Args:
            d_last: (M, P) dL/dh at the last step of each copy.
        """
        for some in _chunks(lengths, self.cell.G * self.call.H):
            call, steps = self.copy(sequences[some], lengths[some])
            yield some, self._back(call, steps, call.packing.with_last(None, d_last[some]))

    def _back(self, call: Call, steps: Steps, dh: Tensor) -> Copies:
        with torch.no_grad():
            d = self.engine.step_gradients(call, steps, Steps(dh, None, None, None, None))
        t, m = call.packing.step_and_sequence()
        return Copies(call, steps, t, m, d)


def run_of(
    module: nn.Module,
    x: Tensor | PackedSequence,
    hx: Any = None,
    *,
    lengths: Tensor | Sequence[int] | None = None,
    layer: str | None = None,
) -> Run:
    """Runs a module, edits included, and one of its layers once more in float64.

    Args:
        module: a Glasscell LSTM, GRU or RNN, or torch.nn's.
        x, hx, lengths: what a Glasscell layer takes.
        layer: "l0", "l1_reverse"; the last layer's forward direction if absent.

    Raises:
        TypeError: the module is no such layer.
        InputError: an input or a layer that it does not have; a run that chance had a part in.
    """
    with torch.no_grad():
        records = {record.name: record for record in _records(module, x, hx, lengths)}
        forward = [name for name in records if not name.endswith("_reverse")]
        name = forward[-1] if layer is None else layer
        if name not in records:
            raise InputError(f"layer: expected one of {', '.join(records)}; got {layer!r}")
        given = records[name]
        expect_no_chance(name, given.call.cell, given.call.noise)
        # what went into the gates says in what scale a cell was held, where there is one
        scaled = "stabilizer" in given.call.cell.carried
        call = given.call.to(torch.float64)._replace(record=scaled, gradients=None)
        native = ENGINES["native"]
        engine: Any = native if native.refuses(call) is None else ENGINES["reference"]
        steps = engine.forward(call)
    return Run(name, call, steps, given.layout, given.call.x.dtype, engine)


def _records(module: nn.Module, x: Any, hx: Any, lengths: Any) -> Sequence[LayerRecord]:
    if isinstance(module, Recurrent):
        return _shown(module, lambda: module(x, hx, lengths=lengths))
    if not isinstance(module, nn.RNNBase):
        raise TypeError(
            "module: expected an LSTM, GRU or RNN of Glasscell or torch.nn, got "
            f"{type(module).__name__}. Of a model, give the layer itself, model.lstm, and what "
            "it reads"
        )
    if lengths is not None:
        x = pack_padded_sequence(
            x, torch.as_tensor(lengths).cpu(), module.batch_first, enforce_sorted=False
        )
    if isinstance(twin := active_twin(module), Recurrent):  # it is edited
        return _shown(twin, lambda: module(x, hx))
    before = black_box.random_state_before(module)
    return black_box.record_layer(module, x, hx, module(x, hx), before)


def _shown(layer: Recurrent, run: Callable[[], object]) -> list[LayerRecord]:
    """What a layer records while it runs."""
    found: list[LayerRecord] = []
    handle = layer.register_record_hook(lambda _, records: found.extend(records))
    try:
        run()
    finally:
        handle.remove()
    return found


def _chunks(lengths: Tensor, width: int) -> Iterator[slice]:
    """Runs of copies, longest first, of about `AT_ONCE` numbers each."""
    rows = max(1, AT_ONCE // width)
    start, M = 0, len(lengths)
    while start < M:
        many = max(1, rows // int(lengths[start]))
        yield slice(start, min(start + many, M))
        start += many


def norm(v: Tensor, dim: int = -1) -> Tensor:
    """The Euclidean norm, also of numbers whose squares float64 cannot hold."""
    if not v.shape[dim]:
        return v.sum(dim)
    largest = v.abs().amax(dim, keepdim=True)
    scale = torch.where((largest > 0) & largest.isfinite(), largest, torch.ones_like(largest))
    return torch.linalg.vector_norm(v / scale, dim=dim) * scale.squeeze(dim)
