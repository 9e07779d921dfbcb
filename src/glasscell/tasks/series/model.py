"""The forecaster: a recurrent layer that reads a series, and a head that says what comes.

At every step t the layer has read y_1 ... y_t and what is known of those steps. The head says of
each step of the horizon what its value may be, from h_t and from what is known of that step in
advance:

    c_k = W_k h_t + b_k                        of each step k of the horizon, one vector
    raw_{t+k} = V relu(U [c_k, x_{t+k}] + b)

(Wen et al. 2017, "A multi-horizon quantile recurrent forecaster", in a simpler form), so that one
pass over a series gives forecasts from every step of it: all of them are trained on. With
`decoder="autoregressive"` the head says the next step alone, and a longer forecast is made of
paths: values are drawn, and read as if they had been seen (Salinas et al. 2020, "DeepAR").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glasscell.errors import InputError, UserError
from glasscell.nn.lines import LayerLine
from glasscell.tasks.models import LARGEST
from glasscell.tasks.series.distributions import output_of

CONTEXT = 16  # numbers of each step of the horizon
DECODERS = ("direct", "autoregressive")
FARTHEST = 10_000  # steps of a horizon


@dataclass(frozen=True)
class SeriesConfig:
    """The sizes of a forecaster.

    Attributes:
        inputs: I, what is read of each step.
        future: K, what is known in advance of each step.
        horizon: steps to be forecast.
        cell: the layer in one line (`glasscell.nn.lines`).
        hidden, layers: of the recurrent layer.
        dropout: fraction dropped between layers and before the head.
        output: the kind of forecast, a key of `distributions.OUTPUTS`.
        decoder: "direct", all steps at once, or "autoregressive", one after the other.
    """

    inputs: int
    future: int
    horizon: int
    cell: str = "lstm"
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.0
    output: str = "quantiles"
    decoder: str = "direct"

    def __post_init__(self) -> None:
        for name, most in (("hidden", LARGEST), ("layers", 100), ("horizon", FARTHEST)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise UserError(f"{name}: expected 1 to {most}, got {value}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout: expected at least 0 and less than 1, got {self.dropout}")
        if self.decoder not in DECODERS:
            raise UserError(f"decoder: expected one of {', '.join(DECODERS)}, got {self.decoder!r}")
        output_of(self.output)
        try:
            LayerLine.read(self.cell)
        except InputError as error:
            raise UserError(str(error)) from None

    @property
    def ahead(self) -> int:
        """Steps that the head says at once."""
        return self.horizon if self.decoder == "direct" else 1


State = object


class Forecaster(nn.Module):
    """A recurrent layer over a series, and its head.

    The recurrent layer is `self.rnn`, so a trace of the model names it "rnn.l0".

    Args:
        config: the sizes.
    """

    def __init__(self, config: SeriesConfig) -> None:
        super().__init__()
        self.config = config
        self.output = output_of(config.output)
        self.map, self.rnn = LayerLine.read(config.cell).opened.mapped(
            config.inputs, config.hidden, config.layers,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )  # fmt: skip
        self.dropout = nn.Dropout(config.dropout)
        self.context = nn.Linear(config.hidden, config.ahead * CONTEXT)
        self.mix = nn.Linear(CONTEXT + config.future, 2 * CONTEXT)
        self.head = nn.Linear(2 * CONTEXT, self.output.parameters)

    def read(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """h (T, B, H) of inputs x (T, B, I), and the last state."""
        return self.rnn(self.map(x), state)

    def say(self, h: Tensor, future: Tensor) -> Tensor:
        """What the head says.

        Args:
            h: (..., H).
            future: (..., ahead, K) what is known of the steps to come.

        Returns:
            (..., ahead, parameters) raw, for `self.output`.
        """
        context = self.context(self.dropout(h)).unflatten(-1, (self.config.ahead, CONTEXT))
        return self.head(F.relu(self.mix(torch.cat((context, future), -1))))

    def forward(
        self, x: Tensor, future: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """What is said at every step.

        Args:
            x: (T, B, I).
            future: (T, B, ahead, K) of the steps after each.
            state: of the layer, to go on from.

        Returns:
            (T, B, ahead, parameters) raw, and the last state.
        """
        h, last = self.read(x, state)
        return self.say(h, future), last
