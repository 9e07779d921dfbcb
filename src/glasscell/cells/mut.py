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
and MUT2 add x_t itself to H numbers, so their input has H of them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient
from glasscell.cells.differentiated import differentiated
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Weights
from glasscell.cells.noise import NOISELESS, StepNoise

# What a gate reads without weights: x_t as it is, or its tanh; and in place of h_{t-1}, its tanh.
ITSELF = {"x_itself": lambda x: x, "tanh_x": torch.tanh}


@dataclass(frozen=True)
class MUT(Cell):
    """The definition of MUT3; MUT1 and MUT2 read other things."""

    reset_gate: GateMap = GateMap("reset_gate", "r", SIGMOID)
    update_gate: GateMap = GateMap("update_gate", "z", SIGMOID, ("x", "tanh_h"))
    candidate: GateMap = GateMap("candidate", "n", TANH)

    kind = "mut"

    def __post_init__(self) -> None:
        for name, gate in vars(self).items():
            if any(v not in ("x", "h", "tanh_h", *ITSELF) for v in gate.reads):
                raise ValueError(
                    f"{name}: a {self.kind} runs it reading x, h, tanh_h, {', '.join(ITSELF)}, "
                    f"got {gate.reads}"
                )
        if "h" not in self.candidate.reads:
            raise ValueError(f"candidate: expected it to read h, got {self.candidate.reads}")

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return self.reset_gate, self.update_gate, self.candidate

    def reading(self, v: str) -> int:
        """How many read "x", or "h" or its tanh, through a matrix."""
        return (
            sum(v in gate.reads or f"tanh_{v}" in gate.reads for gate in self.gates)
            if (v == "h")
            else super().reading(v)
        )

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
        H = h.shape[-1]
        terms = {"W": 0, "U": 0}  # rows already used

        def product(weight: str, bias: str, v: Tensor) -> Tensor:
            rows = slice(terms[weight] * H, (terms[weight] + 1) * H)
            terms[weight] += 1
            b = getattr(w, bias)
            return F.linear(v, getattr(w, weight)[rows], None if b is None else b[rows])

        pre, r = [], h.new_zeros(())
        for gate in self.gates:
            read = h if gate is not self.candidate else r * h
            total = h.new_zeros(h.shape)
            for v in gate.reads:
                if v == "x":
                    total = total + product("W", "b_x", x)
                elif v in ITSELF:
                    total = total + ITSELF[v](x)
                else:
                    read_h = read.tanh() if v == "tanh_h" else read
                    total = total + product("U", "b_h", noise.read(read_h))
            pre.append(total)
            if gate is self.reset_gate:
                r = edits.apply("reset_gate", noise.gate(gate, total))
        return torch.stack(pre, -2), r

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
        z = edits.apply("update_gate", noise.gate(self.update_gate, pre[..., 1, :]))
        n = edits.apply("candidate", noise.gate(self.candidate, pre[..., 2, :]))
        h_t = edits.apply("hidden", noise.held("hidden", n * z + h * (1 - z), h))
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
        return differentiated(self, d, x, h, c, w, edits, noise)


MUT1 = MUT(
    update_gate=GateMap("update_gate", "z", SIGMOID, ("x",)),
    candidate=GateMap("candidate", "n", TANH, ("tanh_x", "h")),
)
MUT2 = MUT(
    reset_gate=GateMap("reset_gate", "r", SIGMOID, ("x_itself", "h")),
    update_gate=GateMap("update_gate", "z", SIGMOID),
)
MUT3 = MUT()
