"""A traced `torch.nn.LSTM` against the loop that people write today to see the gates."""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor, nn

import glasscell
from benchmarks.comparison import Comparison, Peer

T = 100


def comparisons() -> Iterator[Comparison]:
    for H, B, training in product((128, 512), (1, 32), (False, True)):
        yield traced(B, H, training)


def loop(layer: nn.LSTM, x: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states (T, B, H) and gates (T, B, 4, H): an LSTM cell in Python, step by step."""
    W, U, b_x, b_h = layer.all_weights[0]
    H = layer.hidden_size
    h = c = x.new_zeros(x.shape[1], H)
    hs, all_gates = [], []
    for x_t in x:
        pre = nn.functional.linear(x_t, W, b_x) + nn.functional.linear(h, U, b_h)
        i, f, g, o = pre.chunk(4, -1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        hs.append(h)
        all_gates.append(torch.stack((i, f, g, o), 1))
    return torch.stack(hs), torch.stack(all_gates)


def traced(B: int, H: int, training: bool) -> Comparison:
    layer = nn.LSTM(H, H)
    x = torch.randn(T, B, H)

    def with_trace() -> tuple[Tensor, Tensor]:
        with torch.set_grad_enabled(training):
            with glasscell.trace(layer) as trace:
                h = layer(x)[0]
            gates = trace["l0"].record.gates
            assert gates is not None
            if training:
                h.sum().backward()
            return h, gates.unflatten(0, (T, B))

    def with_loop() -> tuple[Tensor, Tensor]:
        with torch.set_grad_enabled(training):
            h, gates = loop(layer, x)
            if training:
                h.sum().backward()
            return h, gates

    def check() -> None:
        torch.testing.assert_close(with_trace(), with_loop(), rtol=1e-4, atol=1e-5)
        layer.zero_grad()

    work = "train step" if training else "inference"
    return Comparison(
        case=f"nn.LSTM, every gate kept, {work}  B {B:<3} H {H}",
        peers=(Peer("traced", with_trace), Peer("Python loop", with_loop)),
        least=1.0,
        check=check,
    )
