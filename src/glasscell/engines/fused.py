"""The torch engine: plain cells through PyTorch's own fused operation (oneDNN, cuDNN, ...).

The operation is a black box that returns hidden states and the last cell state. Where the call
asks for a record, gates and cell states are replayed from them, after the fact; the outputs are
the same bits with and without.
"""

from dataclasses import replace

import torch
from torch import Tensor

from glasscell.cells import GRU, LSTM, RELU, RNN, Cell, Weights
from glasscell.engines.call import Call, Record
from glasscell.engines.observed import observed
from glasscell.engines.replay import replay
from glasscell.engines.transforms import active_transform

RELU_RNN = RNN(replace(RNN().hidden, squash=RELU))

# What PyTorch has a fused operation for, by the definition of the cell. The one for a single
# step has the same name with "_cell" after it.
OPERATIONS: dict[Cell, str] = {
    LSTM(): "lstm",
    GRU(): "gru",
    RNN(): "rnn_tanh",
    RELU_RNN: "rnn_relu",
}


class TorchEngine:
    name = "torch"

    def refuses(self, call: Call) -> str | None:
        if call.cell not in OPERATIONS:
            return "PyTorch has no fused operation for this cell"
        if call.edits:
            return "PyTorch's fused operation cannot be edited inside"
        if call.noise is not None and call.noise.acts_on(call.cell):
            return "PyTorch's fused operation knows no noise within the recurrence"
        if transform := active_transform(call.tensors()):
            return f"PyTorch's fused operation does not run under {transform}"
        return None

    def run(self, call: Call) -> Record:
        h, h_n, c_n = fused(call)
        if not call.record and call.gradients is None:
            return Record(h=h, h_n=h_n, c_n=c_n)
        # The last states stay those of the operation: a record changes nothing.
        return observed(call, replay(call, h)._replace(h_n=h_n, c_n=c_n))

    def step(self, call: Call) -> tuple[Tensor, Tensor | None]:
        if call.weights.V is not None:  # the operation for one step knows no projection
            return fused(call)[1:]
        operation = getattr(torch._VF, f"{OPERATIONS[call.cell]}_cell")  # type: ignore[attr-defined]
        w, h, c = call.weights, call.h_0, call.c_0
        if c is not None:
            return operation(call.x, (h, c), w.W, w.U, w.b_x, w.b_h)
        return operation(call.x, h, w.W, w.U, w.b_x, w.b_h), None


def fused(call: Call) -> tuple[Tensor, Tensor, Tensor | None]:
    """h (N, P), h_n (B, P) and, for an LSTM, c_n (B, H), from PyTorch's operation."""
    x, h_0, c_0, w = call.x, call.h_0, call.c_0, call.weights
    packing, reverse = call.packing, call.reverse
    operation = getattr(torch._VF, OPERATIONS[call.cell])  # type: ignore[attr-defined]
    initial = h_0[None] if c_0 is None else (h_0[None], c_0[None])  # (1, B, .): one layer
    # has_biases, num_layers, dropout, train, bidirectional. `train` only makes a GPU keep what
    # its backward needs; without dropout it changes no value.
    options = (w.b_x is not None, 1, 0.0, torch.is_grad_enabled(), False)

    if packing.is_dense:
        x = x.view(packing.T, packing.B, x.shape[1])  # (T, B, I)
        x = x.flip(0) if reverse else x
        h, *last = operation(x, initial, w.given, *options, False)
        h = (h.flip(0) if reverse else h).flatten(0, 1)  # (T, B, P) -> (N, P)
    else:
        if reverse:
            backwards = packing.backwards.to(x.device)
            x = x.index_select(0, backwards)
        sizes = torch.tensor(packing.batch_sizes)
        h, *last = operation(x, sizes, initial, w.given, *options)
        h = h.index_select(0, backwards) if reverse else h
    return h, last[0][0], last[1][0] if c_0 is not None else None


def lay_out_for_cudnn(cell: Cell, w: Weights) -> None:
    """Moves the weights of one layer and direction, in place, to one block of memory.

    cuDNN wants them so, and else copies them at every call and warns of it.
    """
    tensors = w.given
    is_for_cudnn = cell in OPERATIONS and all(
        t.is_cuda and t.dtype == w.W.dtype and torch.backends.cudnn.is_acceptable(t)
        for t in tensors
    )
    if not is_for_cudnn:
        return
    import torch.backends.cudnn.rnn as cudnn_rnn

    mode = cudnn_rnn.get_cudnn_mode(OPERATIONS[cell].upper())
    I, H, P = w.W.shape[1], w.W.shape[0] // cell.G, 0 if w.V is None else w.V.shape[0]
    one_layer = (1, False, False)  # num_layers, batch_first, bidirectional
    with torch.cuda.device_of(w.W), torch.no_grad():
        torch._VF._cudnn_rnn_flatten_weight(  # type: ignore[attr-defined]
            tensors, len(tensors), I, mode, H, P, *one_layer
        )
