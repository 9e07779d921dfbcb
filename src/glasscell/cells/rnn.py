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
from glasscell.cells.edits import UNEDITED, StepEdits
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

    def step(
        self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights, edits: StepEdits = UNEDITED
    ) -> Step:
        pre = summed_terms(x, h, w, self.G)  # (B, 1, H)
        h_t = edits.apply("hidden", self.hidden.squash.apply(pre).squeeze(-2))
        return Step(pre, h_t.unsqueeze(-2), h_t)

    def step_backward(
        self,
        d: StepGradient,
        step: Step,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
    ) -> StepBackward:
        dh = torch.zeros_like(step.h) if d.h is None else d.h
        dh = added(dh, part(d.gates, 0))
        h_own = self.squashed(step, edits).squeeze(-2)  # (B, H)
        dpre = edits.backward("hidden", dh) * self.hidden.squash.slope(h_own)
        dpre = added(dpre, part(d.pre, 0)).unsqueeze(-2)  # (B, 1, H)
        return StepBackward(
            dx_term=dpre,
            dh_term=dpre,
            dh_prev=dpre.flatten(-2) @ w.U,
            dgates=dh.unsqueeze(-2),
        )
