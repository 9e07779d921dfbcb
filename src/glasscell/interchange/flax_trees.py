"""Flax's trees of parameters as our weights, and back.

Flax names a dense layer for each gate: `ii if ig io` read the input and `hi hf hg ho` the hidden
state; or it has one for all gates, `dense_i` and `dense_h`, in the order that is ours too. Kernels
are (inputs, outputs). Which of them has a bias:

    LSTM           what reads h
    GRU            what reads x; by gates also hn, by which the reset gate multiplies it
    simple cell    what reads x
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glasscell import cells
from glasscell.cells import Cell, Weights
from glasscell.errors import InputError
from glasscell.interchange.arrays import array, tensor
from glasscell.interchange.gate_order import one_bias, two_biases

GATES = {"lstm": "ifgo", "gru": "rzn", "rnn": ""}  # a simple cell's dense layers are `i` and `h`
KINDS: dict[int, Cell] = {4: cells.LSTM(), 3: cells.GRU(), 1: cells.RNN()}  # by gates
Dense = dict[str, Any]  # kernel and, perhaps, bias
Tree = dict[str, Dense]


def weights_of(tree: Any, where: str) -> tuple[Cell, Weights]:
    """The usual cell of a tree, and its weights.

    Raises:
        InputError: a tree of no cell that is known here; a dense layer more or less; other shapes.
    """
    if not isinstance(tree, Mapping):
        raise InputError(f"{where}: expected a tree of parameters, got {type(tree).__name__}")
    given = {str(name).rstrip("_"): value for name, value in tree.items()}
    if set(given) == {"dense_i", "dense_h"}:
        return _of_all_gates(given, where)
    for cell in KINDS.values():
        if set(given) == {*_names(cell, "i"), *_names(cell, "h")}:
            return cell, _of_each_gate(given, cell, where)
    known = "; ".join(
        f"{' '.join((*_names(cell, 'i'), *_names(cell, 'h')))} (a cell of {cell.kind}'s kind)"
        for cell in KINDS.values()
    )
    raise InputError(
        f"{where}: expected the dense layers {known}; or dense_i dense_h, got {' '.join(tree)}"
    )


def tree_of(w: Weights, cell: Cell, by_gates: bool) -> Tree:
    """Flax's tree of one cell's weights.

    Raises:
        InputError: a GRU with a second bias of the candidate, where Flax's has one.
    """
    bias = one_bias(w)
    if bias is None:  # Flax's cells always have biases
        bias = w.W.new_zeros(len(w.W))
    b_x, b_h = (None, bias) if isinstance(cell, cells.LSTM) else (bias, None)
    if isinstance(cell, cells.GRU) and w.b_x is not None and w.b_h is not None:
        H = len(w.W) // 3
        b_x = torch.cat((bias[: 2 * H], w.b_x[2 * H :]))
        b_h = torch.cat((torch.zeros_like(bias[: 2 * H]), w.b_h[2 * H :]))
    if not by_gates:
        if isinstance(cell, cells.GRU) and b_h is not None:
            if b_h.any():
                raise InputError(
                    "layer: this GRU of Flax's has no bias in what the reset gate multiplies, "
                    "got bias_hh with numbers for the candidate; flax.linen.GRUCell has it"
                )
            b_h = None
        return {"dense_i": _dense(w.W, b_x), "dense_h": _dense(w.U, b_h)}
    tree: Tree = {}
    for reads, matrix, b in (("i", w.W, b_x), ("h", w.U, b_h)):
        names = _names(cell, reads)
        rows = [None] * len(names) if b is None else list(b.chunk(len(names)))
        for name, kernel, row in zip(names, matrix.chunk(len(names)), rows, strict=True):
            tree[name] = _dense(kernel, row)
            if name in _unbiased(cell):
                tree[name].pop("bias", None)
    if isinstance(cell, cells.GRU) and b_h is None:
        tree["hn"]["bias"] = np.zeros_like(tree["in"]["bias"])
    return tree


def _names(cell: Cell, reads: str) -> list[str]:
    """The dense layers that read the input, "i", or the hidden state, "h", in our gates' order."""
    return [f"{reads}{letter}" for letter in GATES[cell.kind]] or [reads]


def _unbiased(cell: Cell) -> set[str]:
    """The dense layers, by gates, that have no bias."""
    if isinstance(cell, cells.LSTM):
        return set(_names(cell, "i"))
    return {"hr", "hz"} if isinstance(cell, cells.GRU) else {"h"}


def _dense(kernel: Tensor, bias: Tensor | None) -> Dense:
    found: Dense = {"kernel": np.ascontiguousarray(array(kernel).T)}
    return found if bias is None else {**found, "bias": array(bias)}


def _read(dense: Any, where: str, bias: bool, shape: tuple[int | str, ...]) -> list[Tensor]:
    """A dense layer's kernel, turned round, and its bias if it has one."""
    names = {"kernel", "bias"} if bias else {"kernel"}
    if not isinstance(dense, Mapping) or set(dense) != names:
        got = " ".join(sorted(map(str, dense))) if isinstance(dense, Mapping) else type(dense)
        raise InputError(f"{where}: expected {' and '.join(sorted(names))}, got {got}")
    kernel = tensor(f"{where}: kernel", dense["kernel"], shape)
    biases = [tensor(f"{where}: bias", dense["bias"], (kernel.shape[1],))] if bias else []
    return [kernel.T.contiguous(), *biases]


def _of_each_gate(given: Mapping[str, Any], cell: Cell, where: str) -> Weights:
    stacks: list[list[Tensor]] = []
    biases: dict[str, Tensor] = {}
    H: int | str = "H"
    for reads in ("h", "i"):
        kernels = []
        for name in _names(cell, reads):
            shape = (H, H) if reads == "h" else ("I", H)
            biased = name not in _unbiased(cell)
            kernel, *bias = _read(given[name], f"{where}: {name}", biased, shape)
            kernels.append(kernel)
            H = len(kernel)
            if bias:
                biases[name] = bias[0]
        stacks.append(kernels)
    W, U = torch.cat(stacks[1]), torch.cat(stacks[0])
    zeros = torch.zeros_like(next(iter(biases.values())))
    b_x, b_h = (
        torch.cat([biases.get(name, zeros) for name in _names(cell, reads)]) for reads in "ih"
    )
    if isinstance(cell, cells.LSTM):
        return Weights(W, U, *two_biases(b_h))
    return Weights(W, U, b_x, b_h)


def _of_all_gates(given: Mapping[str, Any], where: str) -> tuple[Cell, Weights]:
    kernel = given["dense_h"].get("kernel") if isinstance(given["dense_h"], Mapping) else None
    rows, columns = (*np.shape(kernel), 0, 0)[:2]  # type: ignore[arg-type]
    G = columns // rows if rows else 0
    if G not in KINDS or columns != G * rows:
        raise InputError(
            f"{where}: dense_h: expected a kernel (H, 4H), (H, 3H) or (H, H), "
            f"got {np.shape(kernel)}"  # type: ignore[arg-type]
        )
    cell = KINDS[G]
    is_lstm = isinstance(cell, cells.LSTM)
    W, *b_x = _read(given["dense_i"], f"{where}: dense_i", not is_lstm, ("I", columns))
    U, *b_h = _read(given["dense_h"], f"{where}: dense_h", is_lstm, (rows, columns))
    return cell, Weights(W, U, *two_biases((b_h or b_x)[0]))
