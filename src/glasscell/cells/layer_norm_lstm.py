"""The layer-normalised LSTM (Ba et al. 2016, "Layer Normalization", supplement, eq. 20 to 22).

    pre_t = a_x * norm(W x_t) + b_x + a_h * norm(U h_{t-1}) + b_h     over all four gates
    h_t = o_t * tanh(a_c * norm(c_t) + b_c)                           the rest as in an LSTM

a_c and b_c are the two rows of `Weights.a_c`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient, added, require_reads
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.endings import (
    GatesBackward,
    cell_state,
    cell_state_backward,
    hidden_backward,
    hidden_state,
    opened,
)
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Squash, Weights
from glasscell.cells.noise import NOISELESS, StepNoise
from glasscell.cells.normalisation import (
    normalised,
    normalised_backward,
    normalised_terms,
    normalised_terms_backward,
)


@dataclass(frozen=True)
class NormalisedLSTM(Cell):
    """The layer-normalised LSTM's definition."""

    input_gate: GateMap = GateMap("input_gate", "i", SIGMOID)
    forget_gate: GateMap = GateMap("forget_gate", "f", SIGMOID)
    candidate: GateMap = GateMap("candidate", "g", TANH)
    output_gate: GateMap = GateMap("output_gate", "o", SIGMOID)
    output_squash: Squash = TANH

    kind = "layer_norm_lstm"
    noun = "a layer-normalised LSTM"
    carried = ("cell",)

    def __post_init__(self) -> None:
        require_reads(self, *((gate, "x h") for gate in self.gates))

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return self.input_gate, self.forget_gate, self.candidate, self.output_gate

    @property
    def keeping(self) -> tuple[GateMap, int]:
        return self.forget_gate, 1

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, _ = gates.unbind(-2)
        return f, i * g

    def gates_in(self, letter: str) -> tuple[GateMap, ...]:
        return self.gates if letter == "a" else super().gates_in(letter)

    def shapes(self, I: int, H: int, P: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        return {**super().shapes(I, H, P, bias), "a": (2, 4 * H), "a_c": (2, H)}

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, None]:
        from_x, from_h = normalised_terms(x, h, w, (4,))
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
        i_pre, f_pre, g_pre, o_pre = pre.unbind(-2)  # each (B, H)
        i = opened(self.input_gate, i_pre, edits, noise)
        f = opened(self.forget_gate, f_pre, edits, noise)
        g = opened(self.candidate, g_pre, edits, noise)
        c_new = f * c + i * g
        c_t, shown = cell_state(c_new, c, edits, noise)
        o = opened(self.output_gate, o_pre, edits, noise)
        m = o * self.output_squash.apply(w.a_c[0] * normalised(shown) + w.a_c[1])
        h_t = hidden_state(m, h, w, edits, noise)
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
        assert c is not None
        assert step.c is not None
        assert w.a_c is not None
        i, f, g, o = step.gates.unbind(-2)
        shown = edits.apply("cell", f * c + i * g) if "cell" in noise.stays else step.c
        norm_c = normalised(shown)
        squashed_c = self.output_squash.apply(w.a_c[0] * norm_c + w.a_c[1])
        back = GatesBackward(self, d, step, edits, noise)

        # h_t = V (o_t * tanh(a_c * norm(c_t) + b_c))
        dh_new, dh_held = hidden_backward(d, step, edits, noise)
        dm = dh_new if w.V is None else dh_new @ w.V  # (B, H)
        back.through(self.output_gate, dm * squashed_c)
        dsum = dm * o * self.output_squash.slope(squashed_c)
        dshown = normalised_backward(w.a_c[0] * dsum, shown)

        # c_t = f_t * c_{t-1} + i_t * g_t
        dc = torch.zeros_like(dshown) if d.c is None else d.c
        dc, dc_new, dc_held = cell_state_backward(dc, dshown, edits, noise)
        back.through(self.input_gate, dc_new * g)
        back.through(self.forget_gate, dc_new * c)
        back.through(self.candidate, dc_new * i)

        # pre_t = a_x * norm(W x_t) + b_x + a_h * norm(U h_{t-1}) + b_h
        dpre = back.dpre  # (B, 4, H)
        dx_term, dh_term, dw = normalised_terms_backward(dpre, dpre, x, noise.read(h), w, (4,))
        return StepBackward(
            dx_term=dx_term,
            dh_term=dh_term,
            dh_prev=added(noise.read(dh_term.flatten(-2) @ w.U), dh_held),
            dc_prev=added(dc_new * f, dc_held),
            dc=dc,
            dw={**dw, "a_c": torch.stack(((dsum * norm_c).sum(0), dsum.sum(0)))},
            dgates=back.dgates,
            m=o * squashed_c,
            dVm=dh_new,
        )
