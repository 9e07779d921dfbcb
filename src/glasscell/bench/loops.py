"""The loops that people write today to see the gates: a cell in Python, step by step."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def lstm_loop(x: Tensor, W: Tensor, U: Tensor, b_x: Tensor, b_h: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states (T, B, H) and gates i f g o (T, B, 4, H) of x (T, B, I)."""
    h = c = x.new_zeros(x.shape[1], U.shape[1])
    hs, gates = [], []
    for x_t in x:
        pre = F.linear(x_t, W, b_x) + F.linear(h, U, b_h)
        i_pre, f_pre, g_pre, o_pre = pre.chunk(4, -1)  # each (B, H)
        i, f, g, o = i_pre.sigmoid(), f_pre.sigmoid(), g_pre.tanh(), o_pre.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        hs.append(h)
        gates.append(torch.stack((i, f, g, o), 1))
    return torch.stack(hs), torch.stack(gates)


def gru_loop(x: Tensor, W: Tensor, U: Tensor, b_x: Tensor, b_h: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states (T, B, H) and gates r z n (T, B, 3, H) of x (T, B, I)."""
    h = x.new_zeros(x.shape[1], U.shape[1])
    hs, gates = [], []
    for x_t in x:
        r_x, z_x, n_x = F.linear(x_t, W, b_x).chunk(3, -1)  # each (B, H)
        r_h, z_h, q = F.linear(h, U, b_h).chunk(3, -1)
        r, z = (r_x + r_h).sigmoid(), (z_x + z_h).sigmoid()
        n = (n_x + r * q).tanh()
        h = (1 - z) * n + z * h
        hs.append(h)
        gates.append(torch.stack((r, z, n), 1))
    return torch.stack(hs), torch.stack(gates)


class Looped(nn.Module):
    """A torch.nn layer run by such a loop. It gives (output, ()): a loop has no use for last
    states. Its gates are in `gates` afterwards.
    """

    gates: Tensor | None = None

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        self.loop = {"LSTM": lstm_loop, "GRU": gru_loop}[layer.mode]

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[()]]:
        output, self.gates = self.loop(x, *self.layer.all_weights[0])
        return output, ()
