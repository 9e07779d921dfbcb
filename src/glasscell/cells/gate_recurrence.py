"""Full gate recurrence (Greff et al. 2017, "LSTM: A Search Space Odyssey", appendix: FGR).

    s_{t-1} = (i_{t-1}, f_{t-1}, o_{t-1})           the gates of the step before
    i_t = sigmoid(W_i x_t + U_i h_{t-1} + p_i * c_{t-1} + S_i s_{t-1} + b_i)      f_t likewise
    g_t = tanh   (W_g x_t + U_g h_{t-1} + b_g)
    c_t = f_t * c_{t-1} + i_t * g_t
    o_t = sigmoid(W_o x_t + U_o h_{t-1} + p_o * c_t + S_o s_{t-1} + b_o)
    h_t = o_t * tanh(c_t)

The three gates also read each other's values of the step before, through nine matrices (the first
form of the LSTM had them). So what is carried from step to step is c and the three gates.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient, summed_terms
from glasscell.cells.differentiated import differentiated
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Weights
from glasscell.cells.noise import NOISELESS, StepNoise


@dataclass(frozen=True)
class GateRecurrence(Cell):
    """The definition of the LSTM with peepholes and full gate recurrence."""

    input_gate: GateMap = GateMap("input_gate", "i", SIGMOID, ("x", "h", "c_prev"))
    forget_gate: GateMap = GateMap("forget_gate", "f", SIGMOID, ("x", "h", "c_prev"))
    candidate: GateMap = field(default=GateMap("candidate", "g", TANH))
    output_gate: GateMap = GateMap("output_gate", "o", SIGMOID, ("x", "h", "c"))

    kind = "fgr"
    carried = ("cell", "previous_input_gate", "previous_forget_gate", "previous_output_gate")

    def __post_init__(self) -> None:
        for name, gate in vars(self).items():
            usual = type(self).__dataclass_fields__[name].default
            if gate.reads != usual.reads:
                raise ValueError(f"{name}: an {self.kind} runs it reading {usual.reads}")

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
        return {**super().shapes(I, H, P, bias), "S": (3 * H, 3 * H)}

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, None]:
        return summed_terms(x, h, w, self.G), None

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
        assert w.p is not None
        assert w.S is not None
        c_prev, s_prev = c.tensor_split([c.shape[-1] // 4], -1)  # (B, H), (B, 3*H)
        i_s, f_s, o_s = (s_prev @ w.S.T).chunk(3, -1)
        i_pre, f_pre, g_pre, o_pre = summed_terms(x, noise.read(h), w, self.G).unbind(-2)

        i_pre = i_pre + w.p[0] * c_prev + i_s
        f_pre = f_pre + w.p[1] * c_prev + f_s
        i = edits.apply("input_gate", noise.gate(self.input_gate, i_pre))
        f = edits.apply("forget_gate", noise.gate(self.forget_gate, f_pre))
        g = edits.apply("candidate", noise.gate(self.candidate, g_pre))
        c_new = f * c_prev + i * g
        c_t = edits.apply("cell", noise.held("cell", c_new, c_prev))
        shown = edits.apply("cell", c_new) if "cell" in noise.stays else c_t

        o_pre = o_pre + w.p[2] * c_t + o_s
        o = edits.apply("output_gate", noise.gate(self.output_gate, o_pre))
        h_new = o * shown.tanh()
        if w.V is not None:
            h_new = h_new @ w.V.T  # (B, P)
        h_t = edits.apply("hidden", noise.held("hidden", h_new, h))

        handed_on = [
            edits.apply(name, gate) for name, gate in zip(self.carried[1:], (i, f, o), strict=True)
        ]
        pre = torch.stack((i_pre, f_pre, g_pre, o_pre), -2)
        return Step(pre, torch.stack((i, f, g, o), -2), h_t, torch.cat((c_t, *handed_on), -1))

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
