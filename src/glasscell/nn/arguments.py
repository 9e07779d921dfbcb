"""The checks every layer makes once, before any engine runs, with torch.nn's error classes."""

import numbers
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from glasscell.errors import InputError

if TYPE_CHECKING:
    from glasscell.nn.recurrent import Recurrent


def not_a_layer(name: str, given: object) -> str:
    """What to say to somebody who gave something else than one of our layers."""
    kind = type(given)
    text = (
        f"{name}: expected a glasscell.LSTM, GRU or RNN, got {kind.__module__}.{kind.__qualname__}"
    )
    if isinstance(given, torch.nn.RNNBase):
        return f"{text}. Ours takes the same arguments and its state_dict"
    if isinstance(given, torch.nn.Module):
        return f"{text}. Of a model, give the layer itself: model.lstm, or whatever its name is"
    return text


def check_options(
    input_size: int,
    hidden_size: int,
    num_layers: int,
    bias: bool,
    batch_first: bool,
    dropout: float,
    proj_size: int,
) -> None:
    """The constructor's options.

    Raises:
        TypeError: a size or switch of the wrong type.
        ValueError: a size or probability out of range.
    """
    is_number = isinstance(dropout, numbers.Number) and not isinstance(dropout, bool)
    if not is_number or not 0 <= dropout <= 1:
        raise ValueError(f"dropout: expected a probability, 0 to 1, got {dropout!r}")
    for name, value in (("bias", bias), ("batch_first", batch_first)):
        if not isinstance(value, bool):
            raise TypeError(f"{name}: expected a bool, got {type(value).__name__}")
    sizes = (
        ("input_size", input_size, 1),
        ("hidden_size", hidden_size, 1),
        ("num_layers", num_layers, 1),
        ("proj_size", proj_size, 0),
    )
    for name, value, least in sizes:
        check_size(name, value, least)
    if proj_size >= hidden_size:
        raise ValueError(
            f"proj_size: expected less than hidden_size={hidden_size}, or 0 for none, "
            f"got {proj_size}"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout acts between layers, after all but the last: with num_layers=1 "
            f"dropout={dropout} does nothing",
            stacklevel=4,
        )


def check_size(name: str, value: int, least: int = 1) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")


def check_dtype_and_device(name: str, tensor: Tensor, weight: Tensor) -> None:
    """A tensor must have the weights' dtype (unless autocast converts it) and device."""
    if tensor.dtype == weight.dtype and tensor.device == weight.device:
        return
    if not tensor.is_floating_point():
        raise InputError(
            f"{name}: expected {weight.dtype}, as the weights, got {tensor.dtype}. "
            "Tokens go through a torch.nn.Embedding first, other whole numbers through .float()"
        )
    if tensor.dtype != weight.dtype and not torch.is_autocast_enabled(weight.device.type):
        raise InputError(
            f"{name}: expected {weight.dtype}, as the weights, got {tensor.dtype}. "
            f"Convert it, .to({weight.dtype}), or the model, .to({tensor.dtype})"
        )
    if tensor.device != weight.device:
        raise InputError(
            f"{name}: expected on {weight.device}, where the weights are, got {tensor.device}"
        )


def check_input(layer: "Recurrent", input: Tensor | PackedSequence) -> None:
    """The input's kind, dimensions, size, dtype and device."""
    data = input.data if isinstance(input, PackedSequence) else input
    if not isinstance(data, Tensor):
        raise TypeError(f"input: expected a Tensor or PackedSequence, got {type(input).__name__}")
    I = layer.input_size
    dims = (2, 3) if data is input else (2,)
    if data.dim() not in dims or data.shape[-1] != I:
        expected = f"packed data (N, {I})"
        if data is input:
            expected = f"(B, T, {I})" if layer.batch_first else f"(T, B, {I})"
            expected += f", or (T, {I}) for a single sequence"
        raise InputError(f"input: expected {expected}, got {tuple(data.shape)}")
    check_dtype_and_device("input", data, layer.weight_ih_l0)


def check_lengths_apply(input: Tensor | PackedSequence, lengths: object) -> None:
    """Only padded sequences have lengths. What the lengths are is checked where they are read."""
    if lengths is None:
        return
    if isinstance(input, PackedSequence):
        raise InputError("lengths: a PackedSequence already knows its lengths")
    if input.dim() == 2:
        raise InputError("lengths: a single sequence (T, I) has no padding; cut it to its length")


def check_states(
    layer: "Recurrent", hx: Tensor | tuple[Tensor, Tensor], B: int, batched: bool
) -> tuple[Tensor, Tensor | None]:
    """The initial states h and, for cells that have one, c."""
    if layer.cell.has_cell_state:
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            raise TypeError(f"hx: expected a pair (h_0, c_0), got {type(hx).__name__}")
        states = {"h_0": (hx[0], layer.output_size), "c_0": (hx[1], layer.carried_size)}
    else:
        if not isinstance(hx, Tensor):
            raise TypeError(f"hx: expected a Tensor, got {type(hx).__name__}")
        states = {"hx": (hx, layer.hidden_size)}
    LD = layer.num_layers * (2 if layer.bidirectional else 1)
    for name, (state, size) in states.items():
        if not isinstance(state, Tensor):
            raise TypeError(f"{name}: expected a Tensor, got {type(state).__name__}")
        batch = (B,) if batched else ()
        expected = (LD, *batch, size)
        if tuple(state.shape) != expected:
            raise InputError(f"{name}: expected {expected}, got {tuple(state.shape)}")
        check_dtype_and_device(name, state, layer.weight_ih_l0)
    h_0, *rest = (state for state, _ in states.values())
    return h_0, rest[0] if rest else None


def check_step(layer: "Recurrent", x: Tensor) -> None:
    """One step's input (B, I)."""
    if not isinstance(x, Tensor):
        raise TypeError(f"x: expected a Tensor, got {type(x).__name__}")
    I = layer.input_size
    if x.dim() != 2 or x.shape[1] != I:
        raise InputError(f"x: expected (B, {I}) or ({I},), got {tuple(x.shape)}")
    weight = layer.weight_ih_l0
    if x.dtype != weight.dtype:
        raise InputError(f"x: expected {weight.dtype}, as the weights, got {x.dtype}")
    check_dtype_and_device("x", x, weight)


def check_stream_state(layer: "Recurrent", states: tuple[Tensor, ...]) -> None:
    """The state of a stream: h (L, B, P) and, for cells that have one, c (L, B, H)."""
    sizes = {"h": layer.output_size}
    if layer.cell.has_cell_state:
        sizes["c"] = layer.carried_size
    if len(states) != len(sizes):
        raise InputError(f"state: expected {' and '.join(sizes)}, got {len(states)} tensors")
    weight = layer.weight_ih_l0
    for (name, size), state in zip(sizes.items(), states, strict=True):
        if not isinstance(state, Tensor):
            raise TypeError(f"state: {name}: expected a Tensor, got {type(state).__name__}")
        expected = (layer.num_layers, states[0].shape[1] if states[0].dim() == 3 else "B", size)
        if tuple(state.shape) != expected:
            shape = ", ".join(map(str, expected))
            raise InputError(f"state: {name}: expected ({shape}), got {tuple(state.shape)}")
        if state.dtype != weight.dtype:
            raise InputError(f"state: {name}: expected {weight.dtype}, got {state.dtype}")
        check_dtype_and_device(f"state: {name}", state, weight)
