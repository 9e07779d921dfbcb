"""One step at a time: `LSTMCell`, `GRUCell` and `RNNCell`, drop-ins for torch.nn's."""

import math
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from glasscell import cells, ops
from glasscell.cells import Cell, Weights
from glasscell.engines import Call, Packing, combined
from glasscell.errors import InputError
from glasscell.nn import arguments
from glasscell.nn.edits import LayerEdit
from glasscell.nn.layers import rnn_cell
from glasscell.nn.layout import Layout
from glasscell.nn.record import LayerRecord
from glasscell.nn.recurrent import Device


class RecurrentCell(nn.Module):
    """What the three one-step modules share. Use `LSTMCell`, `GRUCell` or `RNNCell`."""

    bias_ih: nn.Parameter | None
    bias_hh: nn.Parameter | None

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        arguments.check_size("input_size", input_size)
        arguments.check_size("hidden_size", hidden_size)
        self.cell = cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self._edits: OrderedDict[int, LayerEdit] = OrderedDict()
        self._edited_steps: OrderedDict[int, int] = OrderedDict()  # since each of them began
        self.edited_record: LayerRecord | None = None  # of the last step that was edited
        rows = cell.G * hidden_size

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        self.weight_ih = parameter(rows, input_size)
        self.weight_hh = parameter(rows, hidden_size)
        self.register_parameter("bias_ih", parameter(rows) if bias else None)
        self.register_parameter("bias_hh", parameter(rows) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws every weight anew from U(-1/sqrt(H), 1/sqrt(H)), in torch.nn's order."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def weights(self) -> Weights:
        """The weights under the letters of the equations."""
        return Weights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def _step(self, x: Tensor, *states: Tensor | None) -> tuple[Tensor, ...]:
        """h_t, and c_t where there is one, from x (B, I) or (I,) and the states before or None."""
        dims = (1, 2)
        if not isinstance(x, Tensor):
            raise TypeError(f"input: expected a Tensor, got {type(x).__name__}")
        if x.dim() not in dims or x.shape[-1] != self.input_size:
            I = self.input_size
            raise InputError(f"input: expected (B, {I}) or ({I},), got {tuple(x.shape)}")
        arguments.check_dtype_and_device("input", x, self.weight_ih)
        expected = (*x.shape[:-1], self.hidden_size)
        for name, state in zip(("hx", "cx"), states, strict=False):
            if state is None:
                continue
            if not isinstance(state, Tensor):
                raise TypeError(f"{name}: expected a Tensor, got {type(state).__name__}")
            if tuple(state.shape) != expected:
                raise InputError(f"{name}: expected {expected}, got {tuple(state.shape)}")
            arguments.check_dtype_and_device(name, state, self.weight_ih)

        batched = x.dim() == 2
        x = x if batched else x.unsqueeze(0)  # (B, I)
        before = [
            x.new_zeros(x.shape[0], self.hidden_size)
            if state is None
            else (state if batched else state.unsqueeze(0))
            for state in states
        ]  # (B, H) each
        h, c = before[0], before[1] if self.cell.has_cell_state else None
        if len(self._edits) > 0:  # the length, because a compiler watches no truth value
            step_edited: Any = RecurrentCell._edited_step
            if torch.compiler.is_compiling():
                step_edited = torch.compiler.disable(step_edited)
            after = step_edited(self, x, h, c, batched)
        elif torch.compiler.is_compiling():  # a compiler makes its own of the equations
            step = self.cell.step(x, h, c, self.weights())
            after = step.h, step.c
        else:
            packing = Packing.dense(1, x.shape[0])
            after = ops.step(Call(self.cell, self.weights(), x, packing, h, c))
        return tuple(v if batched else v.squeeze(0) for v in after if v is not None)

    def register_edit(self, edit: LayerEdit) -> RemovableHandle:
        """Changes what a step computes until the handle that comes back is removed. Steps are
        counted from the next call on.
        """
        self.edited_record = None
        handle = RemovableHandle(self._edits, extra_dict=self._edited_steps)
        self._edits[handle.id], self._edited_steps[handle.id] = edit, 0
        return handle

    def _edited_step(
        self, x: Tensor, h: Tensor, c: Tensor | None, batched: bool
    ) -> tuple[Tensor, Tensor | None]:
        layout = Layout(Packing.dense(1, x.shape[0]), batched=batched, T=1)
        edits = [
            edit.at_step(self._edited_steps[k], layout, self.hidden_size, self.weight_ih)
            for k, edit in self._edits.items()
        ]
        call = Call(self.cell, self.weights(), x, layout.packing, h, c, record=True)
        call = call._replace(edits=combined([each for each in edits if each is not None]))
        record = ops.run(call)
        for k in self._edits:
            self._edited_steps[k] += 1
        self.edited_record = LayerRecord("", call, record, layout)
        return record.h, record.c_n

    def __getstate__(self) -> dict:
        # whoever edits this cell does not edit its copies
        empty = {name: OrderedDict() for name in ("_edits", "_edited_steps")}
        return {**self.__dict__, **empty, "edited_record": None}

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class LSTMCell(RecurrentCell):
    """One step of the LSTM, a drop-in for `torch.nn.LSTMCell`. Equations: `glasscell.LSTM`.

    Shapes:
        input: (B, I) or (I,).
        hx: a pair h, c, each (B, H) or (H,). Zeros if absent.
        returns: the pair h, c after the step.

    Parameters: weight_ih (4H, I), weight_hh (4H, H), bias_ih, bias_hh (4H,); gates i f g o.

    Raises:
        InputError: a shape, dtype or device that does not fit.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(cells.LSTM(), input_size, hidden_size, bias, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        if hx is not None and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
            raise TypeError(f"hx: expected a pair (h, c), got {type(hx).__name__}")
        h, c = self._step(input, *(hx or (None, None)))
        return h, c


class GRUCell(RecurrentCell):
    """One step of the GRU, a drop-in for `torch.nn.GRUCell`. Equations: `glasscell.GRU`.

    Shapes: input (B, I) or (I,); hx (B, H) or (H,), zeros if absent; returns h like hx.
    Parameters: weight_ih (3H, I), weight_hh (3H, H), bias_ih, bias_hh (3H,); gates r z n.

    Raises:
        InputError: a shape, dtype or device that does not fit.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(cells.GRU(), input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(input, hx)[0]


class RNNCell(RecurrentCell):
    """One step of the simple RNN, a drop-in for `torch.nn.RNNCell`: h = tanh(W x + U h + b).

    `nonlinearity` is "tanh" or "relu". Shapes and errors are those of `GRUCell`; parameters
    hold one gate map: weight_ih (H, I), weight_hh (H, H), bias_ih, bias_hh (H,).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(rnn_cell(nonlinearity), input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(input, hx)[0]

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity=relu"
