"""How a layer is run: inference, or a training step; each as a peer that can also be checked.

A training step is forward and backward from the loss sum(output * w) for a fixed random w, so
that a gradient reaches every output. It gives the gradients of all weights and of the input, as
in a layer that stands on others. Inference is the forward pass without autograd.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import glasscell
from glasscell.bench.agreement import Answer
from glasscell.bench.comparison import Peer
from glasscell.nn.record import LayerRecord

OURS, THEIRS = "glasscell", "torch.nn"
Input = Tensor | PackedSequence


ModuleT = TypeVar("ModuleT", bound=nn.Module)
Gates = Callable[[], Tensor | None]


def inference(name: str, layer: nn.Module, x: Input, gates: Gates | None = None) -> Peer:
    """Runs a layer forward.

    Args:
        gates: gives the gates that the last run has kept, where they are to be checked too.
    """

    def run() -> Any:
        with torch.no_grad():
            return layer(x)

    return Peer(name, run, lambda: Answer(_values(run(), gates)))


def training(name: str, layer: nn.Module, x: Input, w: Tensor, gates: Gates | None = None) -> Peer:
    """Runs a layer forward and backward.

    Args:
        gates: as in `inference`.
        x: whose tokens require a gradient (`leaf`).
        w: what the loss weighs the output's tokens by.
    """
    # a variant whose gates read no hidden state has recurrent weights of no rows
    weights = {name: weight for name, weight in layer.named_parameters() if weight.numel()}
    wanted = {"the input": tokens(x), **weights}

    def run() -> Any:
        for tensor in wanted.values():
            tensor.grad = None
        found = layer(x)
        (tokens(found[0]) * w).sum().backward()
        return found

    def answer() -> Answer:
        values = _values(run(), gates)
        return Answer(values, {name: _gradient(tensor) for name, tensor in wanted.items()})

    return Peer(name, run, answer)


def exact(layer: ModuleT) -> ModuleT:
    """A copy in float64: what others are held against."""
    return copy.deepcopy(layer).double()


def leaf(x: Input, dtype: torch.dtype | None = None) -> Input:
    """A copy of an input that a gradient can be asked for, in another precision if given."""
    data = tokens(x).detach().to(dtype, copy=True).requires_grad_()
    return data if isinstance(x, Tensor) else x._replace(data=data)


def tokens(x: Input) -> Tensor:
    """(T, B, .) of a padded batch, (N, .) of a packed one."""
    return x if isinstance(x, Tensor) else x.data


def keep_gates(layer: glasscell.Recurrent) -> Gates:
    """Makes a layer record every gate and state; gives the gates (T, B, G, H) of its last run."""
    kept: list[LayerRecord] = []

    def keep(_: nn.Module, records: tuple[LayerRecord, ...]) -> None:
        kept[:] = records

    def gates() -> Tensor | None:
        found = kept[0].record.gates
        return None if found is None else kept[0].layout.padded(found)

    layer.register_record_hook(keep)
    return gates


def _values(found: Any, gates: Gates | None) -> dict[str, Tensor]:
    """The output's tokens, the last states, and the gates if they are to be checked, by name."""
    output, last = found
    states = last if isinstance(last, tuple) else (last,)
    values = {"output": tokens(output), **dict(zip(("h_n", "c_n"), states, strict=False))}
    if gates is not None:
        kept = gates()
        assert kept is not None, "a layer that records keeps its gates"
        values["gates"] = kept
    return values


def _gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None, "a loss on every output reaches every weight"
    return tensor.grad
