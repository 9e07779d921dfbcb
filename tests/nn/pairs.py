"""A layer of ours and torch.nn's with the same weights, and comparing what the two give."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from tests.tolerances import assert_close
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import glasscell


@dataclass(frozen=True)
class Kind:
    """A layer class in both libraries, with options that make a variant of it."""

    name: str  # "LSTM"
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def has_cell_state(self) -> bool:
        return self.name == "LSTM"

    def ours(self, *sizes: int, **options: Any) -> glasscell.LSTM | glasscell.GRU | glasscell.RNN:
        return getattr(glasscell, self.name)(*sizes, **dict(self.options), **options)

    def theirs(self, *sizes: int, **options: Any) -> nn.RNNBase:
        return getattr(nn, self.name)(*sizes, **dict(self.options), **options)

    def pair(self, *sizes: int, engine: str = "auto", **options: Any) -> tuple[Any, nn.RNNBase]:
        theirs = self.theirs(*sizes, **options)
        ours = self.ours(*sizes, **options, engine=engine)
        ours.load_state_dict(theirs.state_dict())
        return ours, theirs


KINDS = {
    "lstm": Kind("LSTM"),
    "lstm-nobias": Kind("LSTM", (("bias", False),)),
    "lstm-projected": Kind("LSTM", (("proj_size", 2),)),
    "gru": Kind("GRU"),
    "gru-nobias": Kind("GRU", (("bias", False),)),
    "rnn": Kind("RNN"),
    "rnn-relu": Kind("RNN", (("nonlinearity", "relu"),)),
}
PLAIN = {name: kind for name, kind in KINDS.items() if name in ("lstm", "gru", "rnn")}


def flat(result: Any) -> list[Tensor]:
    """output, h_n and c_n of a layer's result."""
    output, last = result
    output = output.data if isinstance(output, PackedSequence) else output
    return [output, *(last if isinstance(last, tuple) else (last,))]


def initial(layer: Any, B: int | None, dtype: torch.dtype = torch.float64) -> Any:
    """Random hx for a layer; B is None for a single sequence."""
    LD = layer.num_layers * (2 if layer.bidirectional else 1)
    batch = () if B is None else (B,)
    h_0 = torch.randn(LD, *batch, layer.proj_size or layer.hidden_size, dtype=dtype)
    if not isinstance(layer, (nn.LSTM, glasscell.LSTM)):
        return h_0.requires_grad_()
    c_0 = torch.randn(LD, *batch, layer.hidden_size, dtype=dtype)
    return h_0.requires_grad_(), c_0.requires_grad_()


def leaves(x: Tensor, hx: Any) -> list[Tensor]:
    states = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
    return [x, *states]


def assert_same(ours: Any, theirs: Any, run_ours: Callable, run_theirs: Callable, *inputs) -> None:
    """Outputs, last states and every gradient, with the loss on all outputs at once."""
    mine, other = flat(run_ours()), flat(run_theirs())
    for a, b, name in zip(mine, other, ("output", "h_n", "c_n"), strict=False):
        assert a.dtype == b.dtype
        assert_close(a, b, name)
    ds = [torch.randn_like(each) for each in other]
    weights = dict(ours.named_parameters())
    found = torch.autograd.grad(mine, [*inputs, *weights.values()], ds)
    expected = torch.autograd.grad(other, [*inputs, *theirs.parameters()], ds)
    names = [*(f"input {k}" for k in range(len(inputs))), *weights]
    for a, b, name in zip(found, expected, names, strict=True):
        assert_close(a, b, f"dL/d{name}", kind="gradient")
