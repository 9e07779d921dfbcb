"""Recurrent layers the slow way: padded steps in plain loops, for NumPy arrays and tensors.

Nothing here comes from the package. It knows no packing: steps after a sequence's end are
computed and thrown away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from tests.cells.equations import Array, Model, stack

QUANTITIES = ("pre", "gates", "h", "c")


@dataclass
class Layer:
    """One layer in one direction, padded: h (T, B, P), c (T, B, H), gates and pre (T, B, G, H)."""

    h: Array
    gates: Array
    pre: Array
    h_n: Array  # (B, P)
    c: Array = None
    c_n: Array = None


def run_layer(
    model: Model,
    x: Array,
    lengths: list[int],
    h_0: Array,
    c_0: Array = None,
    reverse: bool = False,
    edit: Callable[[int, str, Array], Array] | None = None,
) -> Layer:
    """x (T, B, I), h_0 (B, P), c_0 (B, H); zeros wherever a sequence has no step.

    Args:
        edit: gives a quantity of step t another value, from t, its letter and its (B, H) value.
    """
    T = x.shape[0]
    h, c = h_0, c_0
    found: dict[str, list] = {name: [None] * T for name in QUANTITIES}
    for t in reversed(range(T)) if reverse else range(T):
        step = model.step(x[t], h, c) if edit is None else model.step(x[t], h, c, partial(edit, t))
        real = np.array([t < length for length in lengths])
        h = choose(real, step.h, h)
        c = None if c is None else choose(real, step.c, c)
        for name in QUANTITIES:
            value = getattr(step, name)
            found[name][t] = None if value is None else choose(real, value, 0 * value)
    columns = {name: None if c is None and name == "c" else stack(found[name], 0) for name in found}
    return Layer(**columns, h_n=h, c_n=c)


def choose(real: np.ndarray, yes: Array, no: Array) -> Array:
    """Row by row of the batch."""
    real = real.reshape(-1, *[1] * (yes.ndim - 1))
    if isinstance(yes, np.ndarray):
        return np.where(real, yes, no)
    return torch.where(torch.from_numpy(real), yes, no)


@dataclass
class Stack:
    """All layers: output (T, B, D*P), h_n (L*D, B, P), c_n (L*D, B, H), layers by name."""

    output: Array
    h_n: Array
    c_n: Array
    layers: dict[str, Layer]


def run_stack(
    models: list[list[Model]],
    x: Array,
    lengths: list[int],
    h_0: Array,
    c_0: Array = None,
    *,
    edit: Callable[[str, int, str, Array], Array] | None = None,
) -> Stack:
    """models[layer][direction]; h_0 (L*D, B, P) and c_0 (L*D, B, H) as torch.nn has them.

    Args:
        edit: as of `run_layer`, with the layer's name before.
    """
    layers: dict[str, Layer] = {}
    k = 0
    for l, directions in enumerate(models):
        outputs = []
        for reverse, model in enumerate(directions):
            initial = None if c_0 is None else c_0[k]
            name = f"l{l}_reverse" if reverse else f"l{l}"
            of_layer = None if edit is None else partial(edit, name)
            layer = run_layer(model, x, lengths, h_0[k], initial, bool(reverse), of_layer)
            layers[name] = layer
            outputs.append(layer.h)
            k += 1
        x = np.concatenate(outputs, -1) if isinstance(x, np.ndarray) else torch.cat(outputs, -1)
    return Stack(
        x,
        stack([layer.h_n for layer in layers.values()], 0),
        None if c_0 is None else stack([layer.c_n for layer in layers.values()], 0),
        layers,
    )


def packed_rows(lengths: list[int]) -> list[tuple[int, int]]:
    """(t, b) of every packed token: time-major; lengths are given longest first."""
    return [(t, b) for t in range(max(lengths, default=0)) for b, n in enumerate(lengths) if t < n]


def pack(padded: Array, lengths: list[int]) -> Array:
    """(T, B, ...) -> (N, ...)"""
    return stack([padded[t, b] for t, b in packed_rows(lengths)], 0)
