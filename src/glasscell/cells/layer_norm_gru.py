"""The layer-normalised GRU (Ba et al. 2016, "Layer Normalization", supplement, eq. 23 to 25).

    pre_t = a_x * norm(W x_t) + b_x + a_h * norm(U h_{t-1}) + b_h     r and z, over both
    n_t = tanh(a_x * norm(W_n x_t) + b_n + r_t * (a_h * norm(U_n h_{t-1}) + b'_n))

The candidate's terms are normalised by themselves. z says how much stays, as in `GRU`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient, added, require_reads
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.endings import GatesBackward, hidden_backward, hidden_state, opened
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Weights
from glasscell.cells.noise import NOISELESS, StepNoise
from glasscell.cells.normalisation import normalised_terms, normalised_terms_backward


@dataclass(frozen=True)
class NormalisedGRU(Cell):
    """The layer-normalised GRU's definition."""

    reset_gate: GateMap = GateMap("reset_gate", "r", SIGMOID)
    update_gate: GateMap = GateMap("update_gate", "z", SIGMOID)
    candidate: GateMap = GateMap("candidate", "n", TANH)

    kind = "layer_norm_gru"
    noun = "a layer-normalised GRU"

    def __post_init__(self) -> None:
        require_reads(self, *((gate, "x h") for gate in self.gates))

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return self.reset_gate, self.update_gate, self.candidate

    @property
    def keeping(self) -> tuple[GateMap, int]:
        return self.update_gate, 1

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        _, z, n = gates.unbind(-2)
        return z, (1 - z) * n

    def gates_in(self, letter: str) -> tuple[GateMap, ...]:
        return self.gates if letter == "a" else super().gates_in(letter)

    def shapes(self, I: int, H: int, P: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        return {**super().shapes(I, H, P, bias), "a": (2, 3 * H)}

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, Tensor]:
        pre, _, q = self._reset(x, h, w, UNEDITED, NOISELESS)
        return pre, q

    def _reset(
        self, x: Tensor, h: Tensor, w: Weights, edits: StepEdits, noise: StepNoise
    ) -> tuple[Tensor, Tensor, Tensor]:
        from_x, from_h = normalised_terms(x, noise.read(h), w, (2, 1))
        r_x, z_x, n_x = from_x.chunk(3, -1)  # each (B, H)
        r_h, z_h, q = from_h.chunk(3, -1)
        r = opened(self.reset_gate, r_x + r_h, edits, noise)
        return torch.stack((r_x + r_h, z_x + z_h, n_x + r * q), -2), r, q

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
        z = opened(self.update_gate, pre[..., 1, :], edits, noise)
        n = opened(self.candidate, pre[..., 2, :], edits, noise)
        h_t = hidden_state((1 - z) * n + z * h, h, w, edits, noise)
        return Step(pre, torch.stack((r, z, n), -2), h_t, q=q)

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
        assert step.q is not None
        r, z, n = step.gates.unbind(-2)
        back = GatesBackward(self, d, step, edits, noise)

        # h_t = (1 - z_t) * n_t + z_t * h_{t-1}
        dh_new, dh_held = hidden_backward(d, step, edits, noise)
        dz_pre = back.through(self.update_gate, dh_new * (h - n))
        dn_pre = back.through(self.candidate, dh_new * (1 - z))

        # n_pre = a_x * norm(W_n x_t) + b_n + r_t * q_t
        dr_pre = back.through(self.reset_gate, dn_pre * step.q)
        dpre_h = torch.stack((dr_pre, dz_pre, dn_pre * r), -2)  # (B, 3, H)
        read = noise.read(h)
        dx_term, dh_term, dw = normalised_terms_backward(back.dpre, dpre_h, x, read, w, (2, 1))
        dh_prev = dh_new * z + noise.read(dh_term.flatten(-2) @ w.U)
        return StepBackward(
            dx_term=dx_term,
            dh_term=dh_term,
            dh_prev=added(dh_prev, dh_held),
            dw=dw,
            dgates=back.dgates,
        )
