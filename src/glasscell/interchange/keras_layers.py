"""Keras's recurrent layers: from them and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from glasscell.cells import Cell
from glasscell.errors import InputError
from glasscell.interchange.keras_cells import (
    CLASSES,
    DEFAULTS,
    arguments_of,
    arrays_of,
    weights_of,
)
from glasscell.interchange.keras_objects import KerasPart, taken_apart
from glasscell.interchange.stack import Stack, checked, module_of, require_rows, stack_of
from glasscell.nn import Recurrent
from glasscell.nn.one_step import RecurrentCell
from glasscell.nn.options import cell_of as named_cell


def from_keras(
    source: Any,
    cell: str | Cell | None = None,
    *,
    bias: bool = True,
    bidirectional: bool = False,
    batch_first: bool = True,
    ignore_dropout: bool = False,
) -> Recurrent | RecurrentCell:
    """The layer of ours that computes what a Keras layer computes.

    Args:
        source: a layer of Keras 3, on any of its backends: LSTM, GRU, SimpleRNN, an RNN of their
            cells, one of these in a Bidirectional, or one of the cells alone. A list of layers
            that read one another becomes one layer of several. Or the arrays that their
            `get_weights()` give, in one list; then the next three arguments say what computes
            with them.
        cell: with arrays, the cell: "lstm", "gru", "gru_reset_before", "rnn", or another that
            Keras has.
        bias: with arrays, whether there are biases (Keras's `use_bias`).
        bidirectional: with arrays, whether they are a Bidirectional's.
        batch_first: whether the layer takes (B, T, I), as Keras does, and not (T, B, I).
        ignore_dropout: whether Keras's dropout may be left behind. It acts in training alone and,
            as it drops the same features at every step, is not the dropout of our layers.

    Returns:
        A `glasscell.LSTM`, `GRU`, `RNN` or one-step cell. A bias that Keras keeps once stands
        in `bias_ih`, and `bias_hh` is zero. `return_sequences`, `return_state` and `unroll` need
        nothing: ours returns both. What belongs to Keras's training (initializers, regularizers,
        constraints) stays behind; masks become `lengths=`.

    Raises:
        InputError: an activation, a way to merge, another option or a layer that has no
            counterpart; arrays of another number or shape.

    Example:
        >>> weights = glasscell.to_keras(lstm)
        >>> [array.shape for array in weights]  # kernel, recurrent kernel, bias
        [(3, 32), (8, 32), (32,)]
        >>> again = glasscell.from_keras(weights, "lstm", batch_first=False)
        >>> torch.allclose(again(x)[0], lstm(x)[0], atol=1e-6)
        True
    """
    if _are_arrays(source):
        stack = _stack_of_arrays(source, cell, bias, 2 if bidirectional else 1)
        return module_of(stack, batch_first=batch_first)
    if cell is not None or bidirectional or not bias:
        raise InputError(
            "cell, bias, bidirectional: a Keras layer says them itself, leave them out"
        )
    parts = taken_apart(source, "source", ignore_dropout)
    return module_of(_stack_of_parts(parts), batch_first=batch_first)


def to_keras(layer: Recurrent | RecurrentCell, into: Any = None) -> list[np.ndarray]:
    """A layer's weights as the arrays that a Keras layer's `set_weights` takes.

    Args:
        layer: an LSTM, GRU, RNN or one-step cell of ours. Of the variants Keras has
            `gru_reset_before` and other activations.
        into: the Keras layer, or the list of layers, that is to compute the same: it is checked,
            activations and all, and given the weights. Needed where the layer is not what Keras's
            has as its defaults, since arrays do not say so.

    Returns:
        For each layer and direction kernel (I, G*H), recurrent kernel (H, G*H) and bias (G*H,),
        or (2, G*H) for a GRU with two. Where Keras keeps one bias it is the sum of ours. Several
        layers are what a `keras.Sequential` of them takes; two directions what a Bidirectional
        takes. float32 where ours are bfloat16.

    Raises:
        InputError: a layer that Keras does not have, or `into` that computes something else.
        TypeError: no layer of ours.

    Example:
        >>> [array.shape for array in glasscell.to_keras(gru)]
        [(3, 24), (8, 24), (2, 24)]
    """
    stack = stack_of(layer)
    arguments = arguments_of(stack.cell)
    if stack.P != stack.H:
        raise InputError(f"layer: Keras has no projection, got proj_size={stack.P}")
    found = [[arrays_of(w, stack.cell) for w in directions] for directions in stack.weights]
    if into is not None:
        _fill(into, stack, found, arguments)
    else:
        for name, value in arguments.items():
            if value != DEFAULTS[name]:
                made = f"keras.layers.{CLASSES[stack.cell.kind]}({stack.H}, {name}={value!r}, ...)"
                raise InputError(
                    f"into: expected the Keras layer, as arrays do not say {name}={value!r}, "
                    f"got None; give into={made}"
                )
    return [array for directions in found for arrays in directions for array in arrays]


def _are_arrays(source: Any) -> bool:
    return (
        isinstance(source, Sequence)
        and len(source) > 0
        and all(hasattr(each, "shape") and not hasattr(each, "get_config") for each in source)
    )


def _stack_of_arrays(source: Sequence[Any], cell: str | Cell | None, bias: bool, D: int) -> Stack:
    if cell is None:
        raise InputError('cell: arrays do not say what computes with them, expected "lstm", ...')
    found = named_cell(cell, ())
    arguments_of(found)
    each = 3 if bias else 2
    if len(source) % (each * D):
        raise InputError(
            f"source: expected {each * D} arrays for each layer "
            f"({D} direction(s) of {each}, bias={bias}), got {len(source)}"
        )
    weights = [
        weights_of(source[k : k + each], found, bias, f"source[{k}:{k + each}]")
        for k in range(0, len(source), each)
    ]
    layers = tuple(tuple(weights[k : k + D]) for k in range(0, len(weights), D))
    return checked(Stack(found, layers), "source")


def _stack_of_parts(parts: list[list[KerasPart]]) -> Stack:
    first = parts[0][0]
    for part in (part for directions in parts for part in directions):
        if part.cell != first.cell:
            raise InputError(
                f"{part.where}: expected the same class and activations as {first.where}, "
                f"{_told(first)}, got {_told(part)}. Convert those that differ each by itself"
            )
    weights = tuple(
        tuple(weights_of(part.weights(), part.cell, part.bias, part.where) for part in directions)
        for directions in parts
    )
    return checked(Stack(first.cell, weights, first.one_step), "source")


def _told(part: KerasPart) -> str:
    names = [name for name in DEFAULTS if name in part.config]
    return f"{part.name}({', '.join(f'{name}={part.config[name]!r}' for name in names)})"


def _fill(into: Any, stack: Stack, found: list[list[list[np.ndarray]]], arguments: dict) -> None:
    """Checks that the Keras layers compute what ours does, and gives them its weights."""
    parts = taken_apart(into, "into", ignore_dropout=True)
    require_rows(stack, parts, "into")
    if parts[0][0].one_step != stack.one_step:
        raise InputError("into: expected a cell for a cell and a layer for a layer")
    pairs = [
        (part, arrays)
        for row, given in zip(parts, found, strict=True)
        for part, arrays in zip(row, given, strict=True)
    ]
    for part, arrays in pairs:
        wanted = {"use_bias": stack.bias, **arguments}
        config = {name: part.config.get(name) for name in wanted}
        if part.name != CLASSES[stack.cell.kind] or config != wanted:
            told = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
            kind = CLASSES[stack.cell.kind]
            raise InputError(f"{part.where}: expected {kind}({told}), got {part.name}{config}")
        shapes, there = [a.shape for a in arrays], [tuple(a.shape) for a in part.weights()]
        if shapes != there:
            raise InputError(f"{part.where}: expected weights {shapes}, got {there}")
    for part, arrays in pairs:
        for variable, value in zip(part.source.weights, arrays, strict=True):
            variable.assign(value)
