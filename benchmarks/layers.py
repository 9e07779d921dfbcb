"""`glasscell.LSTM` against `torch.nn.LSTM`: the layer must add next to nothing."""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

import glasscell
from benchmarks.comparison import Comparison, Peer

T = 100


def comparisons() -> Iterator[Comparison]:
    for H, B, training in product((128, 256, 512), (16, 32, 64), (False, True)):
        yield lstm(B, H, training)


def lstm(B: int, H: int, training: bool) -> Comparison:
    """One pass over T steps; with `training`, forward and backward."""
    x = torch.randn(T, B, H)
    theirs = torch.nn.LSTM(H, H)
    ours = glasscell.LSTM(H, H)
    ours.load_state_dict(theirs.state_dict())
    flops = 2 * T * B * 4 * H * (H + H) * (3 if training else 1)

    def step(layer: torch.nn.Module) -> Tensor:
        if not training:
            with torch.no_grad():
                return layer(x)[0]
        layer.zero_grad()
        output = layer(x)[0]
        output.sum().backward()
        return output

    def check() -> None:
        torch.testing.assert_close(step(ours), step(theirs))
        if training:
            for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
                torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-2)

    return Comparison(
        case=f"LSTM {'train step' if training else 'inference'}  B {B:<3} H {H}",
        peers=(Peer("glasscell", lambda: step(ours)), Peer("torch.nn", lambda: step(theirs))),
        least=0.95,
        flops=flops,
        check=check,
    )
