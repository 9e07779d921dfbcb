"""The steps that a model took, with the weights and inputs of its layers: a run is watched."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from glasscell.cells import NOISELESS, Cell, Step, StepNoise, Weights
from glasscell.engines import Call
from glasscell.engines.noise import step_noise
from glasscell.errors import InputError
from glasscell.explaining.choice import chosen
from glasscell.explaining.moment import Moment, one_sequences
from glasscell.nn import LayerRecord
from glasscell.tracing import LayerTrace
from glasscell.tracing.recorder import Trace

Steps = int | Sequence[int] | slice


class _Watching(Trace):
    """A trace that also keeps what each layer was given: its input and its weights."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.records: dict[str, list[LayerRecord]] = {}

    def _add(self, path: str, records: Iterable[LayerRecord]) -> None:
        records = tuple(records)
        for record in records:
            name = f"{path}.{record.name}" if path else record.name
            self.records.setdefault(name, []).append(record)
        super()._add(path, records)

    def _add_step(self, path: str, record: LayerRecord) -> None:
        self.records.setdefault(path or "cell", []).append(record)
        super()._add_step(path, record)


def observed(
    model: nn.Module, given: tuple[Any, ...], layer: str | None, step: Steps, b: int
) -> list[Moment]:
    """Runs a model and gives steps of one of its layers.

    Args:
        model: any module with a recurrent layer in it, or one itself.
        given: what it is called with.
        layer: which layer, by its name in a trace, the last part of it, or its number; if absent
            the last one that ran.
        step, b: which steps, and of which sequence of the batch.

    Raises:
        InputError: no such layer, step or sequence.
    """
    watching = _Watching(model)
    with torch.no_grad(), watching:
        model(*given)
    if not watching.records:
        raise InputError("model: none of its recurrent layers ran")
    name = _named(list(watching.records), layer)
    records = watching.records[name]
    is_one_step = records[0].name == ""
    if not is_one_step and len(records) > 1:
        raise InputError(
            f"layer: expected one that runs once in a call of the model; {name} ran "
            f"{len(records)} times"
        )
    dropped = _drops_weights(model, name)
    if is_one_step and len(records) == 1:
        return [_moment(records[0], "", None, 0, b)]
    if is_one_step:
        calls = chosen("step", step, len(records), ", the steps that the cell took")
        return [_moment(records[t], name, t, 0, b) for t in calls]
    record = records[0]
    steps = _steps(LayerTrace.of(name, record), step, b)
    return [replace(_moment(record, name, t, t, b), dropped=dropped) for t in steps]


def recorded(layer: LayerTrace, step: Steps, b: int) -> list[Moment]:
    """Steps of a recorded layer, of which neither weights nor input are known."""
    layer = layer.detach()
    return [_recorded(layer, t, b) for t in _steps(layer, step, b)]


def _steps(layer: LayerTrace, step: Steps, b: int) -> list[int]:
    whose = f", the steps of sequence {b}" if layer.layout.packing.B > 1 else ""
    return chosen("step", step, len(layer.sequence("hidden", b)), whose)


def _drops_weights(model: nn.Module, name: str) -> bool:
    """Whether the layer of that name runs without some of its recurrent weights."""
    path = name.rpartition(".")[0]
    chance = getattr(model.get_submodule(path), "chance", None)
    return model.training and chance is not None and chance.weight_dropout > 0


def _named(names: list[str], wanted: str | None) -> str:
    if wanted is None:
        return names[-1]
    for name in names:
        if str(wanted) in (name, name.rpartition(".")[2], name.rpartition(".l")[2]):
            return name
    if f"l{wanted}" in names:
        return f"l{wanted}"
    raise InputError(f"layer: expected one of {', '.join(names)}, got {wanted!r}")


def _moment(record: LayerRecord, name: str, t: int | None, row: int, b: int) -> Moment:
    """Step `row` of sequence b of one call of a layer."""
    layer, call = LayerTrace.of(name, record), record.call
    seen = _recorded(layer, row, b)
    x = _sequence(layer, call.x, b)[row]
    before = seen.before if record.name else "of the step before"  # one-step cells see one step
    return Moment.of(
        call.cell,
        call.weights,
        x,
        seen.h,
        seen.c,
        noise=_noise(layer, row, b),
        name=name,
        t=t,
        before=before,
        recorded=seen.recorded,
        edited=bool(layer.edits),
    )


def _recorded(layer: LayerTrace, t: int, b: int) -> Moment:
    def at(quantity: str) -> Tensor:
        return layer.sequence(quantity, b)[t].detach().double().cpu()

    cell = layer.definition
    T = len(layer.sequence("hidden", b))
    earlier = t + 1 if layer.reverse else t - 1
    is_first = not 0 <= earlier < T

    def before(states: Tensor, initial: Tensor) -> Tensor:
        if not is_first:
            return layer.of_sequence(states, b)[earlier].double().cpu()
        initial = layer.layout.callers_states(initial)
        return initial[b if layer.layout.batched else 0].double().cpu()

    gates = torch.stack([at(gate.name) for gate in cell.gates])  # (G, H)
    pre = torch.stack([at(f"pre.{gate.name}") for gate in cell.gates])
    c = c_before = None
    if cell.has_cell_state:
        assert layer.record.c is not None
        assert layer.c_0 is not None
        c = layer.of_sequence(layer.record.c, b)[t].detach().double().cpu()  # (C*H,)
        c_before = before(layer.record.c, layer.c_0)
    h = at("hidden")
    states = (h,) if c is None else (h, c)
    return Moment(
        cell,
        Step(pre, gates, h, c),
        h=before(layer.record.h, layer.h_0),
        c=c_before,
        name=layer.name,
        t=t,
        before="that the sequence started from" if is_first else f"of step {earlier}",
        edited=bool(layer.edits),
        noise=one_sequences(_noise(layer, t, b)),
        recorded=tuple(state.to(layer.record.h.dtype) for state in states),
    )


def _noise(layer: LayerTrace, t: int, b: int) -> StepNoise:
    """What chance did at step t of sequence b."""
    cell, packing, noise = layer.definition, layer.layout.packing, layer.noise
    if noise is None or not noise.acts_on(cell):
        return NOISELESS
    h, H = layer.record.h, layer.hidden_size
    no_weights = Weights(h.new_empty(len(cell.gates_in("W")) * H, 0), h.new_empty(0, h.shape[-1]))
    call = Call(cell, no_weights, h.new_empty(len(h), 0), packing, layer.h_0, layer.c_0)
    token = int(layer.of_sequence(torch.arange(packing.N)[:, None], b)[t])
    return next(iter(step_noise(call._replace(noise=noise), [slice(token, token + 1)])))


def _sequence(layer: LayerTrace, tokens: Tensor, b: int) -> Tensor:
    """(T_b, F) packed tokens (N, F) of sequence b."""
    padded = layer.layout.padded(tokens.detach())
    if not layer.layout.batched:
        return padded
    steps = padded[b] if layer.layout.batch_first else padded[:, b]
    return steps[: int(layer.lengths[b])]


def called_with(module: nn.Module, x: Any, h: Any, c: Any) -> tuple[Any, ...]:
    """What a layer or one-step cell is called with, for an input and the states before.

    Raises:
        InputError: a cell state for a cell that has none.
    """
    weight = next(module.parameters())
    cell = getattr(module, "cell", None)
    has_cell_state = cell.has_cell_state if isinstance(cell, Cell) else _is_torch_lstm(module)
    x = _like(x, weight)
    if h is None and c is None:
        return (x,)
    if not has_cell_state:
        if c is not None:
            raise InputError(f"c: a {type(module).__name__} has no cell state; leave it out")
        return x, _like(h, weight)
    H = int(getattr(module, "carried_size", module.hidden_size))  # type: ignore[arg-type]
    P = int(getattr(module, "proj_size", 0)) or int(module.hidden_size)  # type: ignore[arg-type]
    h = None if h is None else _like(h, weight)
    c = None if c is None else _like(c, weight)
    if h is None:
        assert c is not None
        h = c.new_zeros(*c.shape[:-1], P)
    return x, (h, h.new_zeros(*h.shape[:-1], H) if c is None else c)


def _is_torch_lstm(module: nn.Module) -> bool:
    return isinstance(module, nn.LSTM | nn.LSTMCell)


def _like(values: Any, weight: Tensor) -> Any:
    if isinstance(values, Tensor | PackedSequence) or not isinstance(values, list | tuple):
        return values
    return torch.tensor(values, dtype=weight.dtype, device=weight.device)
