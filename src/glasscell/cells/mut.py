"""The three mutations of the GRU that an evolutionary search found (Jozefowicz et al. 2015,
"An Empirical Exploration of Recurrent Network Architectures", section 4: MUT1, MUT2 and MUT3).

    h_t = n_t * z_t + h_{t-1} * (1 - z_t)

MUT1    z_t = sigmoid(W_z x_t + b_z)
        r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)
        n_t = tanh(U_n (r_t * h_{t-1}) + tanh(x_t) + b_n)
MUT2    z_t = sigmoid(W_z x_t + U_z h_{t-1} + b_z)
        r_t = sigmoid(x_t + U_r h_{t-1} + b_r)
        n_t = tanh(U_n (r_t * h_{t-1}) + W_n x_t + b_n)
MUT3    z_t = sigmoid(W_z x_t + U_z tanh(h_{t-1}) + b_z)
        r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)
        n_t = tanh(U_n (r_t * h_{t-1}) + W_n x_t + b_n)

As in the paper, the update gate z says how much is *written*; a GRU's says how much stays. MUT1
and MUT2 add x_t itself to H numbers, so their input has H of them. Dropout of the recurrence masks
what U multiplies, so in MUT3 the tanh.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from glasscell.cells.cell import (
    Cell,
    Step,
    StepBackward,
    StepGradient,
    added,
    require_reads,
)
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.endings import GatesBackward, hidden_backward, hidden_state, opened
from glasscell.cells.gates import IDENTITY, SIGMOID, TANH, GateMap, Weights
from glasscell.cells.noise import NOISELESS, StepNoise

# What a gate reads without weights: x_t as it is, or its tanh.
ITSELF = {"x_itself": IDENTITY, "tanh_x": TANH}
# What a matrix multiplies of the past: h_{t-1}, of a candidate r_t * h_{t-1}; or the tanh of it.
PAST = {"h": IDENTITY, "tanh_h": TANH}


@dataclass(frozen=True)
class MUT(Cell):
    """The definition of MUT3; MUT1 and MUT2 read other things."""

    reset_gate: GateMap = GateMap("reset_gate", "r", SIGMOID)
    update_gate: GateMap = GateMap("update_gate", "z", SIGMOID, ("x", "tanh_h"))
    candidate: GateMap = GateMap("candidate", "n", TANH)

    kind = "mut"

    @property
    def noun(self) -> str:
        found = (k for k, each in enumerate((MUT1, MUT2, MUT3), 1) if each == self)
        return next((f"a MUT{k}" for k in found), "a MUT cell")

    def __post_init__(self) -> None:
        for gate in (self.reset_gate, self.update_gate):
            require_reads(self, (gate, "[x] [x_itself] [tanh_x] [h] [tanh_h]"))
            if set(PAST) <= set(gate.reads):
                raise ValueError(f"{gate.name}: expected it to read h or tanh_h, got {gate.reads}")
        require_reads(self, (self.candidate, "[x] [x_itself] [tanh_x] h"))

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return self.reset_gate, self.update_gate, self.candidate

    @property
    def keeping(self) -> tuple[GateMap, int]:
        return self.update_gate, -1

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        _, z, n = gates.unbind(-2)
        return 1 - z, z * n

    def shapes(self, I: int, H: int, P: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        if I != H and any(v in gate.reads for gate in self.gates for v in ITSELF):
            raise ValueError(
                "input_size: this cell adds x_t itself to the sums of its units, so it needs "
                f"input_size == hidden_size, got {I} and {H}. Put a torch.nn.Linear({I}, {H}) in "
                "front of it"
            )
        return super().shapes(I, H, P, bias)

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, None]:
        return self._sums(x, h, w, UNEDITED, NOISELESS)[0], None

    def _sums(
        self, x: Tensor, h: Tensor, w: Weights, edits: StepEdits, noise: StepNoise
    ) -> tuple[Tensor, Tensor]:
        """(B, 3, H) what the squashes get; and r, which the candidate's takes part in."""
        r_pre = self._sum(self.reset_gate, x, h, w, noise)
        z_pre = self._sum(self.update_gate, x, h, w, noise)
        r = opened(self.reset_gate, r_pre, edits, noise)
        n_pre = self._sum(self.candidate, x, r * h, w, noise)
        return torch.stack((r_pre, z_pre, n_pre), -2), r

    def _sum(self, gate: GateMap, x: Tensor, past: Tensor, w: Weights, noise: StepNoise) -> Tensor:
        """(B, H) what a gate's squash gets."""
        W, U, b_x, b_h = self._own(gate, w)
        total = past.new_zeros(past.shape)
        for v in gate.reads:
            if v == "x":
                total = total + F.linear(x, W, b_x)
            elif v in ITSELF:
                total = total + ITSELF[v].apply(x)
            else:
                read = noise.read(PAST[v].apply(past))
                total = total + F.linear(read, U, b_h)
        return total

    def _sum_backward(
        self, gate: GateMap, dpre: Tensor, x: Tensor, past: Tensor, w: Weights, noise: StepNoise
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """dL/dx_t and dL/d(the past that it reads) along this gate, and dL/d(its rows of each
        weight) by the weight's letter.
        """
        W, U, _, _ = self._own(gate, w)
        dx, dpast, dw = torch.zeros_like(x), torch.zeros_like(past), {}
        for v in gate.reads:
            if v == "x":
                dx = dx + dpre @ W
                dw |= {"W": dpre.T @ x, "b_x": dpre.sum(0)}
            elif v in ITSELF:
                dx = dx + dpre * ITSELF[v].slope(ITSELF[v].apply(x))
            else:
                squashed = PAST[v].apply(past)
                dread = noise.read(dpre @ U)
                dpast = dpast + dread * PAST[v].slope(squashed)
                dw |= {"U": dpre.T @ noise.read(squashed), "b_h": dpre.sum(0)}
        return dx, dpast, dw

    def _own(self, gate: GateMap, w: Weights) -> tuple[Any, ...]:
        """A gate's own rows of W, U, b_x and b_h, where it has them."""
        return tuple(self.rows(gate, letter, w) for letter in ("W", "U", "b_x", "b_h"))

    def step(
        self,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
        noise: StepNoise = NOISELESS,
    ) -> Step:
        pre, r = self._sums(x, h, w, edits, noise)
        z = opened(self.update_gate, pre[..., 1, :], edits, noise)
        n = opened(self.candidate, pre[..., 2, :], edits, noise)
        h_t = hidden_state(n * z + h * (1 - z), h, w, edits, noise)
        return Step(pre, torch.stack((r, z, n), -2), h_t)

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
        r, z, n = step.gates.unbind(-2)
        back = GatesBackward(self, d, step, edits, noise)

        # h_t = n_t * z_t + h_{t-1} * (1 - z_t)
        dh_new, dh_held = hidden_backward(d, step, edits, noise)
        dz_pre = back.through(self.update_gate, dh_new * (n - h))
        dn_pre = back.through(self.candidate, dh_new * z)

        # the candidate reads r_t * h_{t-1}, the gates h_{t-1}
        dx_n, dreset, dw_n = self._sum_backward(self.candidate, dn_pre, x, r * h, w, noise)
        dr_pre = back.through(self.reset_gate, dreset * h)
        dx_r, dh_r, dw_r = self._sum_backward(self.reset_gate, dr_pre, x, h, w, noise)
        dx_z, dh_z, dw_z = self._sum_backward(self.update_gate, dz_pre, x, h, w, noise)
        dh_prev = dh_new * (1 - z) + dreset * r + dh_r + dh_z
        return StepBackward(
            dx_term=dn_pre.new_empty(len(x), 0, n.shape[-1]),
            dh_term=dn_pre.new_empty(len(x), 0, n.shape[-1]),
            dh_prev=added(dh_prev, dh_held),
            dx=dx_r + dx_z + dx_n,
            dw={
                letter: torch.cat([dw[letter] for dw in (dw_r, dw_z, dw_n) if letter in dw])
                for letter in ("W", "U", "b_x", "b_h")
                if getattr(w, letter) is not None
            },
            dgates=back.dgates,
        )


MUT1 = MUT(
    update_gate=GateMap("update_gate", "z", SIGMOID, ("x",)),
    candidate=GateMap("candidate", "n", TANH, ("tanh_x", "h")),
)
MUT2 = MUT(
    reset_gate=GateMap("reset_gate", "r", SIGMOID, ("x_itself", "h")),
    update_gate=GateMap("update_gate", "z", SIGMOID),
)
MUT3 = MUT()
