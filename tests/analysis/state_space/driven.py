"""Recorded runs of any cell with weights of a test's choosing, and linear networks."""

from dataclasses import replace

import torch
from tests.cells.zoo import Subject
from torch import Tensor

import glasscell
from glasscell import cells, ops
from glasscell.cells import Squash, Weights
from glasscell.engines import Call, Packing
from glasscell.nn import LayerRecord
from glasscell.nn.layout import Layout
from glasscell.tracing import LayerTrace

IDENTITY = Squash("identity", lambda v: v, torch.ones_like, (-torch.inf, torch.inf))


def recorded(
    subject: Subject, w: Weights, x: Tensor, lengths: list[int], reverse: bool = False
) -> LayerTrace:
    """The trace of a cell that reads x (T, B, I) from random states; longest sequence first."""
    packing = Packing.from_lengths(torch.tensor(lengths))
    layout = Layout(packing, T=packing.T)
    P, H = w.U.shape[1], w.U.shape[0] // subject.cell.G
    h_0 = torch.randn(len(lengths), P, dtype=x.dtype)
    c_0 = torch.randn(len(lengths), H, dtype=x.dtype) if subject.cell.has_cell_state else None
    call = Call(subject.cell, w, layout.tokens(x), packing, h_0, c_0, reverse, record=True)
    with torch.no_grad():
        return LayerTrace.of("l0", LayerRecord("l0", call, ops.run(call), layout))


def linear_rnn(U: Tensor, W: Tensor | None = None, b: Tensor | None = None) -> glasscell.RNN:
    """h = W x + U h + b, with no squash."""
    S = len(U)
    rnn = glasscell.RNN(S if W is None else W.shape[1], S, dtype=torch.float64)
    rnn.cell = cells.RNN(replace(cells.RNN().hidden, squash=IDENTITY))
    with torch.no_grad():
        for weight in rnn.parameters():
            weight.zero_()
        w = rnn.weights()
        w.U.copy_(U)
        if W is not None:
            w.W.copy_(W)
        if b is not None:
            assert w.b_x is not None
            w.b_x.copy_(b)
    return rnn
