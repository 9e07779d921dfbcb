"""The model for all classic tasks: recurrent layers of any cell, one linear output."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from glasscell.cells import Cell
from glasscell.errors import InputError
from glasscell.nn.lines import LayerLine


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

    The recurrent layers are `self.rnn`, so a trace of the model names them "rnn.l0", "rnn.l1", ...
    A cell that adds x_t itself to its units (mut1, mut2) reads it through a linear map of its size.

    Args:
        task: for the sizes, and whether it wants an answer at every step.
        cell: the recurrent layer in one line: "lstm", "gru", "lstm+zoneout=0.1", ...
            (`glasscell.nn.lines`); or a `Cell`.
        hidden: H, units a layer.
        layers: L, stacked layers.
        options: of the layer besides: forget_bias, chrono, zoneout, ..., as for
            `glasscell.Recurrent`.

    Raises:
        InputError: a cell that is not there, no units or layers, or an option the cell cannot have.

    Example:
        >>> from glasscell.tasks.classic import Reber, SequenceModel
        >>> SequenceModel(Reber(), "peephole", hidden=8, layers=2).rnn
        Recurrent(7, 8, num_layers=2, cell='peephole')
    """

    rnn: Any  # a `Recurrent`, or the class of its own that its cell has

    def __init__(
        self,
        task: Sizes,
        cell: str | Cell = "lstm",
        hidden: int = 32,
        layers: int = 1,
        **options: Any,
    ) -> None:
        super().__init__()
        for name, value in (("hidden", hidden), ("layers", layers)):
            if value < 1:
                raise InputError(f"{name}: expected at least 1, got {value}")
        self.every_step = task.every_step
        self.line = LayerLine.of(cell, **options)
        self.map, self.rnn = self.line.mapped(task.input_size, hidden, layers)
        self.head = nn.Linear(hidden, task.output_size)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Answers (T, B, O) at every step, or (B, O) at each sequence's end.

        Args:
            x: (T, B, I).
            lengths: (B,) real steps of each sequence; all T if absent.
        """
        h, last = self.rnn(self.map(x), lengths=lengths)  # (T, B, H)
        h_n = last[0] if isinstance(last, tuple) else last
        return self.head(h if self.every_step else h_n[-1])
