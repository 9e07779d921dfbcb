"""The simple recurrent network (Elman 1990).

    h_t = tanh(W x_t + U h_{t-1} + b)       or relu in place of tanh (Le et al. 2015)

Where each unit reads of the past nothing but itself (IndRNN, Li et al. 2018):

    h_t = relu(W x_t + u * h_{t-1} + b)

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
    summed_backward,
    summed_terms,
)
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.endings import hidden_state
from glasscell.cells.gates import TANH, GateMap, Weights
from glasscell.cells.noise import NOISELESS, StepNoise


@dataclass(frozen=True)
class RNN(Cell):
    """The simple RNN's definition. With a peephole to itself ("h_own"), an IndRNN."""

    hidden: GateMap = GateMap("hidden", "h", TANH)

    kind = "rnn"
    noun = "an RNN"

    def __post_init__(self) -> None:
        require_reads(self, (self.hidden, "x [h] [h_own]"))
        if "h" in self.hidden.reads and self.hidden.peephole:
            raise ValueError(
                "hidden: expected ('x', 'h') or ('x', 'h_own'): all units of the past, or its own, "
                f"got {self.hidden.reads}"
            )

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return (self.hidden,)

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, None]:
        pre = summed_terms(x, h, w, self.G)  # (B, 1, H)
        return (pre if w.p is None else pre + (w.p[0] * h).unsqueeze(-2)), None

    def step(
        self,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
        noise: StepNoise = NOISELESS,
    ) -> Step:
        pre, _ = self.preactivations(x, noise.read(h), w)
        h_t = hidden_state(noise.gate(self.hidden, pre.squeeze(-2)), h, w, edits, noise)
        return Step(pre, h_t.unsqueeze(-2), h_t)

    def step_backward(
        self,
        d: StepGradient,
        step: Step,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
        noise: StepNoise = NOISELESS,
    ) -> StepBackward:
        dh = torch.zeros_like(step.h) if d.h is None else d.h
        dh = added(dh, part(d.gates, 0))
        pre = step.pre.squeeze(-2)  # (B, H)
        own = step.h
        if "hidden" in edits.of or "hidden" in noise.stays:  # what is kept is not what came out
            own = noise.gate(self.hidden, pre)
        dh_new, dh_held = noise.held_backward("hidden", edits.backward("hidden", dh))
        dpre = dh_new * noise.slope(self.hidden, pre, own)
        dpre = added(dpre, part(d.pre, 0)).unsqueeze(-2)  # (B, 1, H)
        dh_term, dh_prev = summed_backward(dpre, w, noise)
        if w.p is not None:
            dh_prev = dh_prev + noise.read(dpre.squeeze(-2) * w.p[0])
        return StepBackward(
            dx_term=dpre,
            dh_term=dh_term,
            dh_prev=added(dh_prev, dh_held),
            dgates=dh.unsqueeze(-2),
        )
