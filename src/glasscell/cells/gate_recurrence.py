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

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.cells.cell import (
    Cell,
    Step,
    StepBackward,
    StepGradient,
    added,
    require_reads,
    summed_backward,
    summed_terms,
)
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.endings import (
    GatesBackward,
    cell_state,
    cell_state_backward,
    hidden_backward,
    hidden_state,
    opened,
)
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Weights
from glasscell.cells.noise import NOISELESS, StepNoise


@dataclass(frozen=True)
class GateRecurrence(Cell):
    """The definition of the LSTM with peepholes and full gate recurrence."""

    input_gate: GateMap = GateMap("input_gate", "i", SIGMOID, ("x", "h", "c_prev"))
    forget_gate: GateMap = GateMap("forget_gate", "f", SIGMOID, ("x", "h", "c_prev"))
    candidate: GateMap = GateMap("candidate", "g", TANH)
    output_gate: GateMap = GateMap("output_gate", "o", SIGMOID, ("x", "h", "c"))

    kind = "fgr"
    noun = "an FGR cell"
    carried = ("cell", "previous_input_gate", "previous_forget_gate", "previous_output_gate")

    def __post_init__(self) -> None:
        require_reads(
            self,
            (self.input_gate, "x h c_prev"),
            (self.forget_gate, "x h c_prev"),
            (self.candidate, "x h"),
            (self.output_gate, "x h c"),
        )

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
        if letter == "S":
            return self.input_gate, self.forget_gate, self.output_gate
        return super().gates_in(letter)

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
        c_prev, s_prev = _parts(c)  # (B, H), (B, 3*H)
        i_s, f_s, o_s = (s_prev @ w.S.T).chunk(3, -1)
        i_pre, f_pre, g_pre, o_pre = summed_terms(x, noise.read(h), w, self.G).unbind(-2)

        i_pre = i_pre + w.p[0] * c_prev + i_s
        f_pre = f_pre + w.p[1] * c_prev + f_s
        i = opened(self.input_gate, i_pre, edits, noise)
        f = opened(self.forget_gate, f_pre, edits, noise)
        g = opened(self.candidate, g_pre, edits, noise)
        c_new = f * c_prev + i * g
        c_t, shown = cell_state(c_new, c_prev, edits, noise)

        o_pre = o_pre + w.p[2] * c_t + o_s
        o = opened(self.output_gate, o_pre, edits, noise)
        h_t = hidden_state(o * shown.tanh(), h, w, edits, noise)

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
        assert c is not None
        assert step.c is not None
        assert w.p is not None
        assert w.S is not None
        c_prev, s_prev = _parts(c)  # (B, H), (B, 3*H)
        c_t, _ = _parts(step.c)
        i, f, g, o = step.gates.unbind(-2)
        shown = edits.apply("cell", f * c_prev + i * g) if "cell" in noise.stays else c_t
        tanh_c = shown.tanh()
        back = GatesBackward(self, d, step, edits, noise)
        dc, ds = _parts(torch.zeros_like(step.c) if d.c is None else d.c)
        di_on, df_on, do_on = (  # dL/d(a gate) by what it hands on to the next step
            edits.backward(name, dq)
            for name, dq in zip(self.carried[1:], ds.chunk(3, -1), strict=True)
        )

        # h_t = V (o_t * tanh(c_t))
        dh_new, dh_held = hidden_backward(d, step, edits, noise)
        dm = dh_new if w.V is None else dh_new @ w.V  # (B, H)
        do_pre = back.through(self.output_gate, dm * tanh_c + do_on)
        dshown = dm * o * (1 - tanh_c.square())

        # c_t = f_t * c_{t-1} + i_t * g_t
        dc, dc_new, dc_held = cell_state_backward(dc + w.p[2] * do_pre, dshown, edits, noise)
        back.through(self.candidate, dc_new * i)
        di_pre = back.through(self.input_gate, dc_new * g + di_on)
        df_pre = back.through(self.forget_gate, dc_new * c_prev + df_on)
        dc_prev = added(dc_new * f, dc_held) + w.p[0] * di_pre + w.p[1] * df_pre

        # all sums are W x_t + b_x + U h_{t-1} + b_h, and of three gates + p * c + S s_{t-1}
        dpre = back.dpre  # (B, 4, H)
        dh_term, dh_prev = summed_backward(dpre, w, noise)
        ds_term = torch.cat((di_pre, df_pre, do_pre), -1)  # (B, 3*H)  dL/d(S s_{t-1})
        peeked = di_pre * c_prev, df_pre * c_prev, do_pre * c_t
        return StepBackward(
            dx_term=dpre,
            dh_term=dh_term,
            dh_prev=added(dh_prev, dh_held),
            dc_prev=torch.cat((dc_prev, ds_term @ w.S), -1),
            dc=torch.cat((dc, ds), -1),
            dw={
                "p": torch.stack([row.sum(0) for row in peeked]),
                "S": ds_term.T @ s_prev,
            },
            dgates=back.dgates,
            m=o * tanh_c,
            dVm=dh_new,
        )


def _parts(carried: Tensor) -> tuple[Tensor, Tensor]:
    """The cell state (B, H), and the three gates (B, 3*H)."""
    c, s = carried.tensor_split([carried.shape[-1] // 4], -1)
    return c, s
