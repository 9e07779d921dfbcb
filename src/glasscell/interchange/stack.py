"""What every format is read into and written from: one cell, and its weights for each layer and
direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from glasscell import cells
from glasscell.cells import Cell, Weights
from glasscell.errors import InputError
from glasscell.interchange.traits import described
from glasscell.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RNNCell
from glasscell.nn.arguments import not_a_layer
from glasscell.nn.one_step import RecurrentCell


@dataclass(frozen=True)
class Stack:
    """L layers in D directions of one cell.

    Attributes:
        weights: of each layer, for each direction.
        one_step: whether it is a module of a single step.
    """

    cell: Cell
    weights: tuple[tuple[Weights, ...], ...]
    one_step: bool = False

    @property
    def L(self) -> int:
        return len(self.weights)

    @property
    def D(self) -> int:
        return len(self.weights[0])

    @property
    def first(self) -> Weights:
        return self.weights[0][0]

    @property
    def input_size(self) -> int:
        return self.first.W.shape[1]

    @property
    def H(self) -> int:
        return len(self.first.W) // len(self.cell.gates_in("W"))

    @property
    def P(self) -> int:
        return self.first.U.shape[1]

    @property
    def bias(self) -> bool:
        return self.first.b_x is not None


def stack_of(layer: Any) -> Stack:
    """The cell and weights of one of our layers, cut from its graph.

    Raises:
        InputError: a layer that computes something else than its cell and weights say.
        TypeError: no layer of ours.
    """
    if not isinstance(layer, (Recurrent, RecurrentCell)):
        raise TypeError(not_a_layer("layer", layer))
    if len(layer._edits):
        raise InputError("layer: it is under an edit, which no other library has; end that first")
    if isinstance(layer, RecurrentCell):
        return Stack(layer.cell, ((_detached(layer.weights()),),), one_step=True)
    if any(layer.chance.zoneout):
        raise InputError(
            f"layer: zoneout={layer.chance.zoneout} changes what it computes after training too, "
            "and no other library has it"
        )
    directions = (False, True) if layer.bidirectional else (False,)
    weights = tuple(
        tuple(_detached(layer.weights(l, reverse)) for reverse in directions)
        for l in range(layer.num_layers)
    )
    return Stack(layer.cell, weights)


def _detached(w: Weights) -> Weights:
    return Weights(*(None if t is None else t.detach() for t in w))  # type: ignore[arg-type]


def checked(stack: Stack, argument: str) -> Stack:
    """A stack whose layers can be one layer of ours.

    Raises:
        InputError: sizes, biases or dtypes that differ between layers or directions.
    """
    usual = stack.first
    for l, directions in enumerate(stack.weights):
        I = stack.input_size if l == 0 else stack.P * stack.D
        expected = [(len(usual.W), I), *(None if t is None else tuple(t.shape) for t in usual[1:])]
        if len(directions) != stack.D:
            raise InputError(
                f"{argument}: expected {stack.D} direction(s) in layer {l}, as in layer 0, "
                f"got {len(directions)}"
            )
        for w in directions:
            shapes = [None if t is None else tuple(t.shape) for t in w]
            if shapes != expected:
                raise InputError(
                    f"{argument}: layers and directions of one layer are alike: expected weights "
                    f"{_listed(expected)} in layer {l}, got {_listed(shapes)}. "
                    "Convert those that differ each by itself"
                )
            if len({t.dtype for t in (*w.given, usual.W)}) > 1:
                dtypes = sorted({str(t.dtype) for t in (*w.given, usual.W)})
                raise InputError(f"{argument}: expected one dtype, got {', '.join(dtypes)}")
    return stack


def require_rows(stack: Stack, parts: Sequence[Sequence[Any]], argument: str) -> None:
    """Raises InputError where another library's parts are not one for each layer and direction."""
    if [len(row) for row in parts] != [stack.D] * stack.L:
        directions = ", ".join(str(len(row)) for row in parts)
        raise InputError(
            f"{argument}: expected {stack.L} layer(s) of {stack.D} direction(s), got {directions}"
        )


def _listed(shapes: list[tuple[int, ...] | None]) -> str:
    return ", ".join(str(shape) for shape in shapes if shape)


def module_of(stack: Stack, *, batch_first: bool = False, dropout: float = 0.0) -> Any:
    """A layer of ours with copies of these weights, or a one-step module.

    Raises:
        InputError: a variant of which there is no one-step module.
    """
    with torch.random.fork_rng(devices=[]):  # the first weights, which nobody sees, cost no draws
        made = _one_step(stack) if stack.one_step else _layer(stack, batch_first, dropout)
    module: Any = made.to(stack.first.W.device)
    if stack.one_step:
        _copy(stack.first, module.weights())
        return module
    for l, directions in enumerate(stack.weights):
        for reverse, weights in enumerate(directions):
            _copy(weights, module.weights(l, bool(reverse)))
    return module


def _layer(stack: Stack, batch_first: bool, dropout: float) -> Recurrent:
    cell, P = stack.cell, stack.P if stack.P != stack.H else 0
    options: dict[str, Any] = {
        "num_layers": stack.L,
        "bias": stack.bias,
        "batch_first": batch_first,
        "dropout": dropout,
        "bidirectional": stack.D == 2,
        "dtype": stack.first.W.dtype,
    }
    if isinstance(cell, cells.RNN):
        if cell == cells.VARIANTS["relu_rnn"]:
            return RNN(stack.input_size, stack.H, nonlinearity="relu", **options)
        return RNN(stack.input_size, stack.H, cell=cell, **options)
    if isinstance(cell, cells.GRU):
        return GRU(stack.input_size, stack.H, cell=cell, **options)
    return LSTM(stack.input_size, stack.H, cell=cell, proj_size=P, **options)


def _one_step(stack: Stack) -> RecurrentCell:
    options: dict[str, Any] = {"bias": stack.bias, "dtype": stack.first.W.dtype}
    if stack.cell == cells.LSTM():
        return LSTMCell(stack.input_size, stack.H, **options)
    if stack.cell == cells.GRU():
        return GRUCell(stack.input_size, stack.H, **options)
    for nonlinearity, name in (("tanh", "rnn"), ("relu", "relu_rnn")):
        if stack.cell == cells.VARIANTS[name]:
            return RNNCell(stack.input_size, stack.H, nonlinearity=nonlinearity, **options)
    raise InputError(
        f"source: there is no one-step module with {described(stack.cell)}; "
        "convert the layer around it, and run that step by step with glasscell.stream"
    )


def _copy(source: Weights, target: Weights) -> None:
    for mine, theirs in zip(target, source, strict=True):
        if mine is not None:
            assert theirs is not None
            assert mine.shape == theirs.shape
            with torch.no_grad():
                mine.copy_(theirs)
