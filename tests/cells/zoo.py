"""The cells under test, by name, with weights to run them."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from tests.cells.equations import LETTERS, Model
from torch import Tensor

from glasscell.cells import GRU, LSTM, RELU, RNN, Cell, Weights, with_peepholes

RELU_RNN = RNN(replace(RNN().hidden, squash=RELU))
FORGET_PEEPHOLE = replace(LSTM(), forget_gate=with_peepholes(LSTM()).forget_gate)


@dataclass(frozen=True)
class Subject:
    """A cell and what weights it gets."""

    cell: Cell
    bias: bool = True
    projection: bool = False

    def weights(
        self, I: int, H: int, dtype: torch.dtype = torch.float64, P: int | None = None
    ) -> Weights:
        """Random leaf weights, at the scale layers draw theirs from."""
        P = P or self.P(H)
        bound = max(H, P) ** -0.5

        def draw(shape: tuple[int, ...]) -> Tensor:
            return torch.empty(shape, dtype=dtype).uniform_(-bound, bound).requires_grad_()

        shapes = self.cell.shapes(I, H, P, self.bias)
        return Weights(**{letter: draw(shape) for letter, shape in shapes.items()})

    def P(self, H: int) -> int:
        return max(1, H // 2) if self.projection else H


SUBJECTS: dict[str, Subject] = {
    "lstm": Subject(LSTM()),
    "lstm-nobias": Subject(LSTM(), bias=False),
    "lstm-projected": Subject(LSTM(), projection=True),
    "lstm-peepholes": Subject(with_peepholes(LSTM())),
    "lstm-peepholes-projected": Subject(with_peepholes(LSTM()), bias=False, projection=True),
    "lstm-forget-peephole": Subject(FORGET_PEEPHOLE),
    "gru": Subject(GRU()),
    "gru-nobias": Subject(GRU(), bias=False),
    "rnn-tanh": Subject(RNN()),
    "rnn-relu": Subject(RELU_RNN),
    "rnn-nobias": Subject(RNN(), bias=False),
}


def independent(cell: Cell, w: Weights) -> Model:
    """The same weights for the independent equations, the peepholes under their gates' letters."""
    letters = LETTERS[cell.kind]
    peeking = [letters[k] for k, gate in enumerate(cell.gates) if gate.peephole]
    rows = () if w.p is None else w.p
    p = dict(zip(peeking, rows, strict=True))
    return Model(cell.kind, w.W, w.U, w.b_x, w.b_h, w.V, p, relu=cell.gates[0].squash is RELU)


def as_numpy(model: Model) -> Model:
    """The same, as NumPy arrays in float64."""

    def array(tensor: Any) -> Any:
        return None if tensor is None else tensor.detach().double().numpy()

    w = {name: array(getattr(model, name)) for name in ("W", "U", "b_x", "b_h", "V")}
    p = {letter: array(row) for letter, row in model.p.items()}
    return replace(model, **w, p=p)
