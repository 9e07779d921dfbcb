"""The layer-normalised LSTM and GRU (Ba et al. 2016, "Layer Normalization", eq. 20 to 22 and 23 to
25 of the supplementary material).

    norm(v) = (v - mean(v)) / sqrt(variance(v) + 1e-5)     over the numbers of one sequence

LSTM    pre_t = a_x * norm(W x_t) + b_x + a_h * norm(U h_{t-1}) + b_h     over all four gates
        h_t = o_t * tanh(a_c * norm(c_t) + b_c)                           the rest as in an LSTM
GRU     the same for r and z together, over both gates, and for the candidate by itself
        n_t = tanh(a_x * norm(W_n x_t) + b_n + r_t * (a_h * norm(U_n h_{t-1}) + b'_n))

The gains a_x and a_h are the two rows of `Weights.a`; a_c and b_c those of `Weights.a_c`. In a GRU
z says how much stays, as in `GRU`.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient
from glasscell.cells.differentiated import differentiated
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Squash, Weights
from glasscell.cells.noise import NOISELESS, StepNoise

EPSILON = 1e-5


def normalised(v: Tensor) -> Tensor:
    """norm(v) over the last dimension."""
    return F.layer_norm(v, v.shape[-1:], eps=EPSILON)


def _terms(x: Tensor, h: Tensor, w: Weights, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """a_x * norm(W x_t) + b_x and a_h * norm(U h_{t-1}) + b_h, (B, G*H) each, normalised within
    each of the blocks of `sizes` gates.
    """
    assert w.a is not None
    H = w.W.shape[0] // sum(sizes)
    blocks = [size * H for size in sizes]
    terms = []
    for v, gain, bias in (
        (F.linear(x, w.W), w.a[0], w.b_x),
        (F.linear(h, w.U), w.a[1], w.b_h),
    ):
        term = gain * torch.cat([normalised(block) for block in v.split(blocks, -1)], -1)
        terms.append(term if bias is None else term + bias)
    return terms[0], terms[1]


@dataclass(frozen=True)
class NormalisedLSTM(Cell):
    """The layer-normalised LSTM's definition."""

    input_gate: GateMap = GateMap("input_gate", "i", SIGMOID)
    forget_gate: GateMap = GateMap("forget_gate", "f", SIGMOID)
    candidate: GateMap = GateMap("candidate", "g", TANH)
    output_gate: GateMap = GateMap("output_gate", "o", SIGMOID)
    output_squash: Squash = TANH

    kind = "layer_norm_lstm"
    carried = ("cell",)

    def __post_init__(self) -> None:
        require_both(self)

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return self.input_gate, self.forget_gate, self.candidate, self.output_gate

    @property
    def keeping_gate(self) -> GateMap:
        return self.forget_gate

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, _ = gates.unbind(-2)
        return f, i * g

    def shapes(self, I: int, H: int, P: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        return {**super().shapes(I, H, P, bias), "a": (2, 4 * H), "a_c": (2, H)}

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, None]:
        from_x, from_h = _terms(x, h, w, (4,))
        return (from_x + from_h).unflatten(-1, (4, -1)), None

    def step(
        self,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
        noise: StepNoise = NOISELESS,
    ) -> Step:
        assert c is not None
        assert w.a_c is not None
        pre, _ = self.preactivations(x, noise.read(h), w)
        i, f, g = (
            edits.apply(gate.name, noise.gate(gate, pre[..., k, :]))
            for k, gate in enumerate(self.gates[:3])
        )
        c_new = f * c + i * g
        c_t = edits.apply("cell", noise.held("cell", c_new, c))
        shown = edits.apply("cell", c_new) if "cell" in noise.stays else c_t
        o = edits.apply("output_gate", noise.gate(self.output_gate, pre[..., 3, :]))
        h_new = o * self.output_squash.apply(w.a_c[0] * normalised(shown) + w.a_c[1])
        if w.V is not None:
            h_new = h_new @ w.V.T  # (B, P)
        h_t = edits.apply("hidden", noise.held("hidden", h_new, h))
        return Step(pre, torch.stack((i, f, g, o), -2), h_t, c_t)

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


@dataclass(frozen=True)
class NormalisedGRU(Cell):
    """The layer-normalised GRU's definition."""

    reset_gate: GateMap = GateMap("reset_gate", "r", SIGMOID)
    update_gate: GateMap = GateMap("update_gate", "z", SIGMOID)
    candidate: GateMap = GateMap("candidate", "n", TANH)

    kind = "layer_norm_gru"

    def __post_init__(self) -> None:
        require_both(self)

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return self.reset_gate, self.update_gate, self.candidate

    @property
    def keeping_gate(self) -> GateMap:
        return self.update_gate

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        _, z, n = gates.unbind(-2)
        return z, (1 - z) * n

    def shapes(self, I: int, H: int, P: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        return {**super().shapes(I, H, P, bias), "a": (2, 3 * H)}

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, Tensor]:
        pre, _, q = self._reset(x, h, w, UNEDITED, NOISELESS)
        return pre, q

    def _reset(
        self, x: Tensor, h: Tensor, w: Weights, edits: StepEdits, noise: StepNoise
    ) -> tuple[Tensor, Tensor, Tensor]:
        from_x, from_h = _terms(x, noise.read(h), w, (2, 1))
        r_x, z_x, n_x = from_x.chunk(3, -1)  # each (B, H)
        r_h, z_h, q = from_h.chunk(3, -1)
        r = edits.apply("reset_gate", noise.gate(self.reset_gate, r_x + r_h))
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
        z = edits.apply("update_gate", noise.gate(self.update_gate, pre[..., 1, :]))
        n = edits.apply("candidate", noise.gate(self.candidate, pre[..., 2, :]))
        h_t = edits.apply("hidden", noise.held("hidden", (1 - z) * n + z * h, h))
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
        return differentiated(self, d, x, h, c, w, edits, noise)


def require_both(cell: Cell) -> None:
    """Raises ValueError where a gate does not read x and h, and nothing else."""
    for gate in cell.gates:
        if gate.reads != ("x", "h"):
            raise ValueError(
                f"{gate.name}: a {cell.kind} runs it reading ('x', 'h'), got {gate.reads}"
            )
