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
from glasscell.cells.edits import UNEDITED, StepEdits
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
        pre, _, q = self._reset(x, h, w, UNEDITED)
        return pre, q

    def _reset(
        self, x: Tensor, h: Tensor, w: Weights, edits: StepEdits
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H) what the squashes get; r, which the candidate's takes part in; and q."""
        r_x, z_x, n_x = input_term(x, w, self.G).unbind(-2)  # each (B, H)
        r_h, z_h, q = recurrent_term(h, w, self.G).unbind(-2)
        r_pre = r_x + r_h
        r = edits.apply("reset_gate", self.reset_gate.squash.apply(r_pre))
        return torch.stack((r_pre, z_x + z_h, n_x + r * q), -2), r, q

    def step(
        self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights, edits: StepEdits = UNEDITED
    ) -> Step:
        pre, r, q = self._reset(x, h, w, edits)
        _, z_pre, n_pre = pre.unbind(-2)
        z = edits.apply("update_gate", self.update_gate.squash.apply(z_pre))
        n = edits.apply("candidate", self.candidate.squash.apply(n_pre))
        h_t = edits.apply("hidden", (1 - z) * n + z * h)
        return Step(pre, torch.stack((r, z, n), -2), h_t, q=q)

    def step_backward(
        self,
        d: StepGradient,
        step: Step,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
    ) -> StepBackward:
        assert step.q is not None
        r, z, n = step.gates.unbind(-2)  # each (B, H)
        r_own, z_own, n_own = self.squashed(step, edits).unbind(-2)
        dh = torch.zeros_like(step.h) if d.h is None else edits.backward("hidden", d.h)

        # h_t = (1 - z_t) * n_t + z_t * h_{t-1}
        dz = added(dh * (h - n), part(d.gates, 1))
        dn = added(dh * (1 - z), part(d.gates, 2))
        dz_own, dn_own = edits.backward("update_gate", dz), edits.backward("candidate", dn)
        dz_pre = added(dz_own * self.update_gate.squash.slope(z_own), part(d.pre, 1))
        dn_pre = added(dn_own * self.candidate.squash.slope(n_own), part(d.pre, 2))

        # n_pre = W_n x_t + b_n + r_t * q_t
        dq = dn_pre * r
        dr = added(dn_pre * step.q, part(d.gates, 0))
        dr_own = edits.backward("reset_gate", dr)
        dr_pre = added(dr_own * self.reset_gate.squash.slope(r_own), part(d.pre, 0))

        dh_term = torch.stack((dr_pre, dz_pre, dq), -2)  # (B, 3, H)
        return StepBackward(
            dx_term=torch.stack((dr_pre, dz_pre, dn_pre), -2),
            dh_term=dh_term,
            dh_prev=dh * z + dh_term.flatten(-2) @ w.U,
            dgates=torch.stack((dr, dz, dn), -2),
        )
