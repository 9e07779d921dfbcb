"""The gated recurrent unit (Cho et al. 2014), in the form that PyTorch and cuDNN compute.

    r_t = sigmoid(W_r x_t + b_r  +  U_r h_{t-1} + b'_r)     reset gate
    z_t = sigmoid(W_z x_t + b_z  +  U_z h_{t-1} + b'_z)     update gate: how much stays
    q_t =                           U_n h_{t-1} + b'_n      the past, as the candidate sees it
    n_t = tanh   (W_n x_t + b_n  +  r_t * q_t)              candidate
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}

The reset gate acts after the product U_n h_{t-1}; Keras calls this `reset_after`. In the first
version of the paper it acts before: q_t = U_n (r_t * h_{t-1}) + b'_n, and n_t takes q_t as it is.
Without a reset gate n_t takes q_t as it is, too.
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
    require_one_past,
    require_reads,
    summed_backward,
)
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.endings import GatesBackward, hidden_backward, hidden_state, opened
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Weights, input_term, recurrent_term
from glasscell.cells.noise import NOISELESS, StepNoise


@dataclass(frozen=True)
class GRU(Cell):
    """The GRU's definition.

    Attributes:
        reset_gate: None where it is left out.
        reset_after: whether it acts after the product with U_n, and not before.
    """

    reset_gate: GateMap | None = GateMap("reset_gate", "r", SIGMOID)
    update_gate: GateMap = GateMap("update_gate", "z", SIGMOID)
    candidate: GateMap = GateMap("candidate", "n", TANH)
    reset_after: bool = True

    kind = "gru"
    noun = "a GRU"

    def __post_init__(self) -> None:
        gates = self.reset_gate, self.update_gate, self.candidate
        require_reads(self, *((gate, "x [h]") for gate in gates))
        require_one_past(self)
        if self.reset_gate is not None and "h" not in self.candidate.reads:
            raise ValueError(
                "reset_gate: it resets what the candidate reads of h, and here it reads none; "
                "expected reset_gate=None"
            )

    @property
    def keeping(self) -> tuple[GateMap, int]:
        return self.update_gate, 1

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        z, n = gates[..., -2, :], gates[..., -1, :]
        return z, (1 - z) * n

    @property
    def gates(self) -> tuple[GateMap, ...]:
        others = self.update_gate, self.candidate
        return others if self.reset_gate is None else (self.reset_gate, *others)

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, Tensor | None]:
        pre, _, q = self._reset(x, h, w, UNEDITED, NOISELESS)
        return pre, q

    def _reset(
        self, x: Tensor, h: Tensor, w: Weights, edits: StepEdits, noise: StepNoise
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """(B, G, H) what the squashes get; r, which the candidate's takes part in; and q."""
        from_x = input_term(x, w, self.G).unbind(-2)  # each (B, H)
        if not len(w.U):
            return torch.stack(from_x, -2), None, None
        if self.reset_gate is None:
            pre = torch.stack(from_x, -2) + recurrent_term(noise.read(h), w, self.G)
            return pre, None, None
        r_x, z_x, n_x = from_x
        if self.reset_after:
            r_h, z_h, q = recurrent_term(noise.read(h), w, 3).unbind(-2)
        else:
            gates, candidate = _split(w)
            r_h, z_h = recurrent_term(noise.read(h), gates, 2).unbind(-2)
        r_pre = r_x + r_h
        r = opened(self.reset_gate, r_pre, edits, noise)
        if self.reset_after:
            n_pre = n_x + r * q
        else:
            q = recurrent_term(noise.read(r * h), candidate, 1).squeeze(-2)
            n_pre = n_x + q
        return torch.stack((r_pre, z_x + z_h, n_pre), -2), r, q

    def step(
        self,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
        noise: StepNoise = NOISELESS,
    ) -> Step:
        pre, r, q = self._reset(x, h, w, edits, noise)
        z = opened(self.update_gate, pre[..., -2, :], edits, noise)
        n = opened(self.candidate, pre[..., -1, :], edits, noise)
        h_t = hidden_state((1 - z) * n + z * h, h, w, edits, noise)
        gates = (z, n) if r is None else (r, z, n)
        return Step(pre, torch.stack(gates, -2), h_t, q=q)

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
        z, n = step.gates[..., -2, :], step.gates[..., -1, :]  # each (B, H)
        back = GatesBackward(self, d, step, edits, noise)
        dh_new, dh_held = hidden_backward(d, step, edits, noise)

        # h_t = (1 - z_t) * n_t + z_t * h_{t-1}
        dz_pre = back.through(self.update_gate, dh_new * (h - n))
        dn_pre = back.through(self.candidate, dh_new * (1 - z))
        dh_prev = added(dh_new * z, dh_held)
        if self.reset_gate is None:
            dpre = back.dpre  # (B, 2, H)
            dh_term, dh_read = summed_backward(dpre, w, noise)
            return StepBackward(
                dx_term=dpre,
                dh_term=dh_term,
                dh_prev=dh_prev + dh_read,
                dgates=back.dgates,
            )

        # n_pre = W_n x_t + b_n + r_t * q_t, or + U_n (r_t * h_{t-1}) + b'_n
        r = step.gates[..., 0, :]
        dw = {}
        if self.reset_after:
            assert step.q is not None
            dq, dr = dn_pre * r, dn_pre * step.q
        else:
            H = dn_pre.shape[-1]
            dq = dn_pre
            dreset = noise.read(dn_pre @ w.U[2 * H :])  # dL/d(r_t * h_{t-1})
            dr, dh_prev = dreset * h, dh_prev + dreset * r
        dr_pre = back.through(self.reset_gate, dr)

        dh_term = torch.stack((dr_pre, dz_pre, dq), -2)  # (B, 3, H)
        if self.reset_after:
            dh_prev = dh_prev + noise.read(dh_term.flatten(-2) @ w.U)
        else:
            of_gates = dh_term[..., :2, :].flatten(-2)
            dh_prev = dh_prev + noise.read(of_gates @ w.U[: 2 * H])
            dw["U"] = torch.cat((of_gates.T @ noise.read(h), dq.T @ noise.read(r * h)))
        return StepBackward(
            dx_term=back.dpre,
            dh_term=dh_term,
            dh_prev=dh_prev,
            dgates=back.dgates,
            dw=dw,
        )


def _split(w: Weights) -> tuple[Weights, Weights]:
    """The recurrent weights of the two gates, and those of the candidate."""
    H = len(w.U) // 3
    b_h = (None, None) if w.b_h is None else w.b_h.split((2 * H, H))
    U = w.U.split((2 * H, H))
    return w._replace(U=U[0], b_h=b_h[0]), w._replace(U=U[1], b_h=b_h[1])
