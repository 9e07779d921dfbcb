"""Layers whose gates are what a test says they are."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import glasscell
from glasscell.tracing import LayerTrace

KINDS = {"lstm": glasscell.LSTM, "gru": glasscell.GRU, "rnn": glasscell.RNN}


def logit(p: Tensor) -> Tensor:
    """What a sigmoid turns into p."""
    return (torch.log(p) - torch.log1p(-p)).clamp(-1000, 1000)


@pytest.fixture
def layer_with() -> Callable[..., LayerTrace]:
    """`layer_with("lstm", forget_gate=(T, H) or (T, B, H))`: the trace of a layer whose named
    gates have these values. Gates that are not named are at 0.5, candidates at 0.

    Its weights are an identity, so that each pre-activation is one number of the input.
    """

    def make(kind: str, lengths: Tensor | None = None, **gates: Tensor) -> LayerTrace:
        shape = next(iter(gates.values())).shape
        H = shape[-1]
        modules = KINDS[kind]
        names = [gate.name for gate in modules(1, 1).cell.gates]
        module = modules(len(names) * H, H).double()
        with torch.no_grad():
            for weight in module.parameters():
                weight.zero_()
            module.weight_ih_l0.copy_(torch.eye(len(names) * H))
        v = {name: torch.zeros(shape, dtype=torch.float64) for name in names}
        for name, values in gates.items():
            is_sigmoid = name.endswith("_gate")
            v[name] = logit(values.double()) if is_sigmoid else torch.atanh(values.double())
        x = torch.cat([v[name] for name in names], -1)
        with torch.no_grad(), glasscell.trace(module) as trace:
            module(x) if lengths is None else module(x, lengths=lengths)
        return trace["l0"]

    return make
