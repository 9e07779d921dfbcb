"""The layers: `LSTM`, `GRU` and `RNN`, with torch.nn's signatures, parameters and results."""

from dataclasses import replace
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from glasscell import cells
from glasscell.cells import RELU, spec
from glasscell.errors import InputError
from glasscell.nn.options import LayerOptions
from glasscell.nn.recurrent import Device, Lengths, Recurrent


class LSTM(Recurrent):
    """Long short-term memory over sequences (Hochreiter and Schmidhuber 1997).

    A drop-in for `torch.nn.LSTM`: the same arguments, parameters, initial values and results,
    with every gate and state within reach of `glasscell.trace`. For each step

        i, f, o = sigmoid(W x_t + b_x + U h_{t-1} + b_h)    g = tanh(the same)
        c_t = f * c_{t-1} + i * g                           h_t = o * tanh(c_t)

    Args:
        input_size: I, features of the input at each step.
        hidden_size: H, units.
        num_layers: L; each layer reads the hidden states of the one below.
        bias: whether there are biases.
        batch_first: whether padded tensors are (B, T, ...) and not (T, B, ...).
        dropout: probability of zeroing the hidden states between layers, in training.
        bidirectional: whether a second recurrence runs from each sequence's end (D = 2).
        proj_size: P, if h_t is to be projected to a smaller size (Sak et al. 2014); 0 for none.
        device, dtype: of the parameters.
        cell: the variant, by name ("peephole"), in a line ("lstm(forget_gate=None)") or as a
            `cells.Cell` that has a cell state. This and the rest are told of by `Recurrent`:
        engine, stochastic, zoneout, recurrent_dropout, weight_dropout, init, forget_bias, chrono.

    Shapes:
        input: (T, B, I), or (B, T, I) with batch_first, or (T, I); or a `PackedSequence`.
        hx: a pair h_0 (L*D, B, P), c_0 (L*D, B, H), without B for a (T, I) input. Zeros if absent.
        lengths: (B,) real tokens of each padded sequence, sorted or not. Output after a
            sequence's end is zero, and its last states are those at its own end.
        returns: output (T, B, D*P) in the input's layout, and (h_n, c_n) shaped like hx.

    Parameters (k the layer, `_reverse` appended for the second direction), gates in the order
    i f g o: weight_ih_l[k] (4H, I), for k > 0 (4H, D*P); weight_hh_l[k] (4H, P); bias_ih_l[k],
    bias_hh_l[k] (4H,); weight_hr_l[k] (P, H) with a projection. A variant has rows for the gates
    that are there, and weight_peephole_l[k] (K, H) for those with a peephole.

    Raises:
        InputError: input, states or lengths whose shape, dtype or device do not fit. It is both
            a ValueError and a RuntimeError.

    Example:
        >>> lstm = glasscell.LSTM(64, 128, num_layers=2, bidirectional=True)
        >>> output, (h_n, c_n) = lstm(torch.randn(35, 4, 64), lengths=[35, 20, 31, 5])
        >>> output.shape, h_n.shape
        (torch.Size([35, 4, 256]), torch.Size([4, 4, 128]))
    """

    _usual_cell = cells.VARIANTS["lstm"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
            **{"cell": "lstm", **options},
        )
        require_family(self, cell_state=True)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Lengths = None,
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        return super().forward(input, hx, lengths=lengths)


class GRU(Recurrent):
    """Gated recurrent unit over sequences (Cho et al. 2014), in PyTorch's and cuDNN's form.

    A drop-in for `torch.nn.GRU`. For each step

        r, z = sigmoid(W x_t + b_x + U h_{t-1} + b_h)
        n = tanh(W_n x_t + b_xn + r * (U_n h_{t-1} + b_hn))
        h_t = (1 - z) * n + z * h_{t-1}

    Arguments, shapes and errors are those of `glasscell.LSTM`, without a projection and without
    a cell state: hx and h_n are one tensor (L*D, B, H). Parameters hold three gates in the order
    r z n: weight_ih_l[k] (3H, I), ...
    """

    _usual_cell = cells.VARIANTS["gru"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            **{"cell": "gru", **options},
        )
        require_family(self, cell_state=False)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | None = None,
        *,
        lengths: Lengths = None,
    ) -> tuple[Any, Tensor]:
        return super().forward(input, hx, lengths=lengths)


class RNN(Recurrent):
    """Simple recurrent network over sequences (Elman 1990): h_t = tanh(W x_t + U h_{t-1} + b).

    A drop-in for `torch.nn.RNN`. `nonlinearity` is "tanh" or "relu". Other arguments, shapes and
    errors are those of `glasscell.GRU`; parameters hold one gate map: weight_ih_l[k] (H, I), ...
    """

    _usual_cell = cells.VARIANTS["rnn"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            **{"cell": rnn_cell(nonlinearity), **options},
        )
        require_family(self, cell_state=False)
        self.nonlinearity = nonlinearity

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | None = None,
        *,
        lengths: Lengths = None,
    ) -> tuple[Any, Tensor]:
        return super().forward(input, hx, lengths=lengths)

    def extra_repr(self) -> str:
        text = super().extra_repr()
        # a variant is told by its name
        return text.replace(", cell='relu_rnn'", ", nonlinearity='relu'")


def require_family(layer: Recurrent, *, cell_state: bool) -> None:
    """A class that returns (h_n, c_n) takes cells with a cell state, and one that returns h_n the
    others.

    Raises:
        InputError: a cell of the other family.
    """
    cell = layer.cell
    if cell.has_cell_state == cell_state:
        return
    name, has = spec.shortest(cell), "has a" if cell.has_cell_state else "has no"
    others = "glasscell.LSTM" if cell.has_cell_state else "glasscell.GRU"
    raise InputError(
        f"cell: {name} {has} cell state, and glasscell.{type(layer).__name__} is for those that "
        f"have {'one' if cell_state else 'none'}; "
        f'{others} or glasscell.Recurrent runs it: Recurrent(..., cell="{name}")'
    )


def rnn_cell(nonlinearity: str) -> cells.RNN:
    """The RNN's definition with the named squash.

    Raises:
        InputError: a name other than "tanh" and "relu".
    """
    if nonlinearity == "tanh":
        return cells.RNN()
    if nonlinearity == "relu":
        return cells.RNN(replace(cells.RNN().hidden, squash=RELU))
    raise InputError(f'nonlinearity: expected "tanh" or "relu", got {nonlinearity!r}')
