"""What a trace should hold: the naive loop in NumPy over the weights of any recurrent layer."""

from typing import Any

import numpy as np
import torch
from tests.cells.equations import Model
from tests.engines.naive import Layer, run_stack
from torch import Tensor, nn

import glasscell

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
NAMES = {
    "lstm": ("input_gate", "forget_gate", "candidate", "output_gate"),
    "gru": ("reset_gate", "update_gate", "candidate"),
    "rnn": ("hidden",),
}


def kind_of(layer: Any) -> str:
    classes = {
        "lstm": (nn.LSTM, glasscell.LSTM, nn.LSTMCell, glasscell.LSTMCell),
        "gru": (nn.GRU, glasscell.GRU, nn.GRUCell, glasscell.GRUCell),
        "rnn": (nn.RNN, glasscell.RNN, nn.RNNCell, glasscell.RNNCell),
    }
    return next(kind for kind, known in classes.items() if isinstance(layer, known))


def model_of(layer: Any, suffix: str) -> Model:
    """The weights called `weight_ih` + suffix and so on, in float64."""

    def get(name: str) -> Any:
        weight = getattr(layer, name + suffix, None)
        return None if weight is None else weight.detach().double().numpy()

    W, U, b_x, b_h, V = (get(name) for name in WEIGHTS)
    relu = getattr(layer, "nonlinearity", "tanh") == "relu"
    return Model(kind_of(layer), W, U, b_x, b_h, V, relu=relu)


def expected(
    layer: Any, x: Tensor, lengths: list[int] | None = None, hx=None, edit=None
) -> dict[str, Layer]:
    """By name, "l0", "l0_reverse"...: padded (T, B, ...) from x (T, B, I) and hx (L*D, B, ...).

    Args:
        edit: gives a quantity another value, from the layer's name, step, letter and (B, H) value.
    """
    T, B, _ = x.shape
    D = 2 if layer.bidirectional else 1
    models = [
        [model_of(layer, f"_l{l}{'_reverse' if d else ''}") for d in range(D)]
        for l in range(layer.num_layers)
    ]
    LD, H = layer.num_layers * D, layer.hidden_size
    is_lstm = kind_of(layer) == "lstm"
    if hx is None:
        h_0, c_0 = np.zeros((LD, B, layer.proj_size or H)), np.zeros((LD, B, H))
    else:
        states = hx if is_lstm else (hx, hx)
        h_0, c_0 = (state.detach().double().numpy() for state in states)
    c_0 = c_0 if is_lstm else None
    x_64 = x.detach().double().numpy()
    return run_stack(models, x_64, lengths or [T] * B, h_0, c_0, edit=edit).layers


def quantities(layer: Layer, kind: str) -> dict[str, Tensor]:
    """Every quantity a trace names, "pre.forget_gate" among them, as (T, B, H)."""
    found = {}
    for k, name in enumerate(NAMES[kind]):
        found[name] = layer.gates[:, :, k]
        found[f"pre.{name}"] = layer.pre[:, :, k]
    if layer.c is not None:
        found["cell"] = layer.c
    found["hidden"] = layer.h
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in found.items()}
