"""The model for all classic tasks: one recurrent layer, one linear output."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from torch import Tensor, nn

from glasscell.errors import InputError
from glasscell.nn import GRU, LSTM, RNN

LAYERS = {"lstm": LSTM, "gru": GRU, "rnn": RNN, "relu_rnn": partial(RNN, nonlinearity="relu")}


class Sizes(Protocol):
    """What a task says of its sequences."""

    @property
    def input_size(self) -> int: ...
    @property
    def output_size(self) -> int: ...
    @property
    def every_step(self) -> bool: ...


class SequenceModel(nn.Module):
    """Reads a sequence and answers at its end, or at every step, as its task wants.

    The layer is `self.rnn`, so a trace of the model names it "rnn.l0".

    Args:
        task: for the sizes, and whether it wants an answer at every step.
        cell: "lstm", "gru", "rnn" (tanh) or "relu_rnn".
        hidden: H, units.

    Raises:
        InputError: a cell that is not there.
    """

    def __init__(self, task: Sizes, cell: str = "lstm", hidden: int = 32) -> None:
        super().__init__()
        if cell not in LAYERS:
            raise InputError(f"cell: expected one of {', '.join(LAYERS)}, got {cell!r}")
        self.every_step = task.every_step
        self.rnn = LAYERS[cell](task.input_size, hidden)
        self.head = nn.Linear(hidden, task.output_size)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Answers (T, B, O) at every step, or (B, O) at each sequence's end.

        Args:
            x: (T, B, I).
            lengths: (B,) real steps of each sequence; all T if absent.
        """
        h, last = self.rnn(x, lengths=lengths)  # (T, B, H)
        h_n = last[0] if isinstance(last, tuple) else last
        return self.head(h if self.every_step else h_n[-1])
