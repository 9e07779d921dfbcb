"""The simple recurrent network (Elman 1990).

    h_t = tanh(W x_t + U h_{t-1} + b)       or relu in place of tanh (Le et al. 2015)

Its only gate map is the hidden state itself.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.cells.cell import (
    Cell,
    Step,
    StepBackward,
    StepGradient,
    added,
    part,
    require_reads,
    summed_terms,
)
from glasscell.cells.gates import TANH, GateMap, Weights


@dataclass(frozen=True)
class RNN(Cell):
    """The simple RNN's definition."""

    hidden: GateMap = GateMap("hidden", "h", TANH)

    kind = "rnn"
    has_cell_state = False

    def __post_init__(self) -> None:
        require_reads(self, {})

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return (self.hidden,)

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, None]:
        return summed_terms(x, h, w, self.G), None

    def step(self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> Step:
        pre = summed_terms(x, h, w, self.G)  # (B, 1, H)
        h_t = self.hidden.squash.apply(pre)
        return Step(pre, h_t, h_t.squeeze(-2))

    def step_backward(
        self, d: StepGradient, step: Step, h: Tensor, c: Tensor | None, w: Weights
    ) -> StepBackward:
        dh = torch.zeros_like(step.h) if d.h is None else d.h
        dh = added(dh, part(d.gates, 0))
        dpre = dh * self.hidden.squash.slope(step.h)
        dpre = added(dpre, part(d.pre, 0)).unsqueeze(-2)  # (B, 1, H)
        return StepBackward(
            dx_term=dpre,
            dh_term=dpre,
            dh_prev=dpre.flatten(-2) @ w.U,
            dgates=dh.unsqueeze(-2),
        )
