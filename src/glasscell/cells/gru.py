"""The gated recurrent unit (Cho et al. 2014), in the form that PyTorch and cuDNN compute.

    r_t = sigmoid(W_r x_t + b_r  +  U_r h_{t-1} + b'_r)     reset gate
    z_t = sigmoid(W_z x_t + b_z  +  U_z h_{t-1} + b'_z)     update gate: how much stays
    q_t =                           U_n h_{t-1} + b'_n      the past, as the candidate sees it
    n_t = tanh   (W_n x_t + b_n  +  r_t * q_t)              candidate
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}

The reset gate acts after the product U_n h_{t-1}, not before it as in the first version of the
paper; Keras calls this `reset_after`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient, added, part, require_reads
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Weights, input_term, recurrent_term


@dataclass(frozen=True)
class GRU(Cell):
    """The GRU's definition."""

    reset_gate: GateMap = GateMap("reset_gate", "r", SIGMOID)
    update_gate: GateMap = GateMap("update_gate", "z", SIGMOID)
    candidate: GateMap = GateMap("candidate", "n", TANH)

    kind = "gru"
    has_cell_state = False

    def __post_init__(self) -> None:
        require_reads(self, {})

    @property
    def keeping_gate(self) -> GateMap:
        return self.update_gate

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        _, z, n = gates.unbind(-2)
        return z, (1 - z) * n

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return self.reset_gate, self.update_gate, self.candidate

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, Tensor]:
        r_x, z_x, n_x = input_term(x, w, self.G).unbind(-2)  # each (B, H)
        r_h, z_h, q = recurrent_term(h, w, self.G).unbind(-2)
        r_pre = r_x + r_h
        r = self.reset_gate.squash.apply(r_pre)
        return torch.stack((r_pre, z_x + z_h, n_x + r * q), -2), q

    def step(self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights) -> Step:
        pre, q = self.preactivations(x, h, w)
        r_pre, z_pre, n_pre = pre.unbind(-2)
        r = self.reset_gate.squash.apply(r_pre)
        z = self.update_gate.squash.apply(z_pre)
        n = self.candidate.squash.apply(n_pre)
        h_t = (1 - z) * n + z * h
        return Step(pre, torch.stack((r, z, n), -2), h_t, q=q)

    def step_backward(
        self, d: StepGradient, step: Step, h: Tensor, c: Tensor | None, w: Weights
    ) -> StepBackward:
        assert step.q is not None
        r, z, n = step.gates.unbind(-2)
        dh = torch.zeros_like(step.h) if d.h is None else d.h

        # h_t = (1 - z_t) * n_t + z_t * h_{t-1}
        dz = added(dh * (h - n), part(d.gates, 1))
        dn = added(dh * (1 - z), part(d.gates, 2))
        dz_pre = added(dz * self.update_gate.squash.slope(z), part(d.pre, 1))
        dn_pre = added(dn * self.candidate.squash.slope(n), part(d.pre, 2))

        # n_pre = W_n x_t + b_n + r_t * q_t
        dq = dn_pre * r
        dr = added(dn_pre * step.q, part(d.gates, 0))
        dr_pre = added(dr * self.reset_gate.squash.slope(r), part(d.pre, 0))

        dh_term = torch.stack((dr_pre, dz_pre, dq), -2)  # (B, 3, H)
        return StepBackward(
            dx_term=torch.stack((dr_pre, dz_pre, dn_pre), -2),
            dh_term=dh_term,
            dh_prev=dh * z + dh_term.flatten(-2) @ w.U,
            dgates=torch.stack((dr, dz, dn), -2),
        )
