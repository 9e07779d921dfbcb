"""How an LSTM's forget gates begin: the biases that decide how long its units first remember."""

from __future__ import annotations

import torch
from torch import Tensor

from glasscell.errors import InputError
from glasscell.nn import LSTM


def start_forget_gate(layer: LSTM, bias: float) -> None:
    """Sets the forget gate's bias of every layer, the sum of the two that PyTorch keeps.

    1 is what Gers et al. (2000) and Jozefowicz et al. (2015) advise; 0 opens it by half.

    Raises:
        InputError: the layer is no LSTM, or has no biases.
    """
    _check(layer)
    for b_x, b_h in _biases(layer):
        b_x.forget[:], b_h.forget[:] = bias, 0.0


def start_chrono(layer: LSTM, longest: int, generator: torch.Generator | None = None) -> None:
    """Chrono initialisation (Tallec and Ollivier 2018, equation 16): b_f ~ log U(1, T_max - 1),
    b_i = -b_f, so that the units' memories begin with lengths spread from 1 to T_max steps.

    Args:
        layer: whose biases are set; those of the candidate and the output gate stay.
        longest: T_max, the longest dependency that is expected, in steps, at least 3.
        generator: for the draws.

    Raises:
        InputError: longest is too short; the layer is no LSTM, or has no biases.
    """
    _check(layer)
    if longest < 3:
        raise InputError(f"longest: expected at least 3 steps, got {longest}")
    for b_x, b_h in _biases(layer):
        H = len(b_x.forget)
        uniform = torch.rand(H, generator=generator, dtype=b_x.forget.dtype)
        b_x.forget[:] = (1 + (longest - 2) * uniform).log()
        b_x.input[:] = -b_x.forget
        b_h.forget[:], b_h.input[:] = 0.0, 0.0


class _Bias:
    """One bias vector of an LSTM, seen gate by gate (in the order i f g o)."""

    def __init__(self, bias: Tensor) -> None:
        self.input, self.forget, _, _ = bias.detach().chunk(4)


def _check(layer: object) -> None:
    if not isinstance(layer, LSTM):
        given = type(layer).__name__
        raise InputError(f"layer: expected a glasscell.LSTM, which has a forget gate, got {given}")
    if not layer.bias:
        raise InputError("layer: expected one with biases, got bias=False")


def _biases(layer: LSTM) -> list[tuple[_Bias, _Bias]]:
    suffixes = [
        f"l{k}{end}"
        for k in range(layer.num_layers)
        for end in (("", "_reverse") if layer.bidirectional else ("",))
    ]
    return [
        (_Bias(getattr(layer, f"bias_ih_{s}")), _Bias(getattr(layer, f"bias_hh_{s}")))
        for s in suffixes
    ]
