"""The long short-term memory cell (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

    i_t = sigmoid(W_i x_t + U_i h_{t-1} + b_i)     input gate: how much of the candidate goes in
    f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)     forget gate: how much of the cell state stays
    g_t = tanh   (W_g x_t + U_g h_{t-1} + b_g)     candidate: what could be written
    o_t = sigmoid(W_o x_t + U_o h_{t-1} + b_o)     output gate: how much is shown
    c_t = f_t * c_{t-1} + i_t * g_t                cell state: the memory
    h_t = o_t * tanh(c_t)                          hidden state: what others see

With a projection (Sak et al. 2014) h_t = V (o_t * tanh(c_t)). With peepholes (Gers et al. 2002)
a gate also reads p * c: the input and forget gates c_{t-1}, the output gate c_t.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glasscell.cells.cell import (
    Cell,
    Step,
    StepBackward,
    StepGradient,
    added,
    part,
    require_reads,
    summed_terms,
)
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Squash, Weights


@dataclass(frozen=True)
class LSTM(Cell):
    """The LSTM's definition.

    What a gate reads (with or without a peephole) and how it squashes are configurations.
    """

    input_gate: GateMap = GateMap("input_gate", "i", SIGMOID)
    forget_gate: GateMap = GateMap("forget_gate", "f", SIGMOID)
    candidate: GateMap = GateMap("candidate", "g", TANH)
    output_gate: GateMap = GateMap("output_gate", "o", SIGMOID)
    output_squash: Squash = TANH  # of the cell state, on its way out

    kind = "lstm"
    has_cell_state = True

    def __post_init__(self) -> None:
        before, after = (("x", "h"), ("x", "h", "c_prev")), (("x", "h"), ("x", "h", "c"))
        require_reads(self, {"input_gate": before, "forget_gate": before, "output_gate": after})

    @property
    def keeping_gate(self) -> GateMap:
        return self.forget_gate

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, _ = gates.unbind(-2)
        return f, i * g

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return self.input_gate, self.forget_gate, self.candidate, self.output_gate

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, None]:
        return summed_terms(x, h, w, self.G), None

    def step(
        self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights, edits: StepEdits = UNEDITED
    ) -> Step:
        c_prev = _present(c)
        i_pre, f_pre, g_pre, o_pre = summed_terms(x, h, w, self.G).unbind(-2)  # each (B, H)

        i_pre = self._peek("input_gate", i_pre, c_prev, w)
        f_pre = self._peek("forget_gate", f_pre, c_prev, w)
        i = edits.apply("input_gate", self.input_gate.squash.apply(i_pre))
        f = edits.apply("forget_gate", self.forget_gate.squash.apply(f_pre))
        g = edits.apply("candidate", self.candidate.squash.apply(g_pre))
        c_t = edits.apply("cell", f * c_prev + i * g)

        o_pre = self._peek("output_gate", o_pre, c_t, w)
        o = edits.apply("output_gate", self.output_gate.squash.apply(o_pre))
        h_t = o * self.output_squash.apply(c_t)
        if w.V is not None:
            h_t = h_t @ w.V.T  # (B, P)
        h_t = edits.apply("hidden", h_t)

        pre = torch.stack((i_pre, f_pre, g_pre, o_pre), -2)
        return Step(pre, torch.stack((i, f, g, o), -2), h_t, c_t)

    def step_backward(
        self,
        d: StepGradient,
        step: Step,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
    ) -> StepBackward:
        c_prev, c_t = _present(c), _present(step.c)
        i, f, g, o = step.gates.unbind(-2)  # each (B, H)
        i_own, f_own, g_own, o_own = self.squashed(step, edits).unbind(-2)
        tanh_c = self.output_squash.apply(c_t)
        dh = torch.zeros_like(step.h) if d.h is None else edits.backward("hidden", d.h)

        # h_t = V m_t,  m_t = o_t * tanh(c_t)
        dm = dh if w.V is None else dh @ w.V  # (B, H)
        do = added(dm * tanh_c, part(d.gates, 3))
        do_own = edits.backward("output_gate", do)
        do_pre = added(do_own * self.output_gate.squash.slope(o_own), part(d.pre, 3))
        dc = added(dm * o * self.output_squash.slope(tanh_c), d.c)
        dc = self._peeked("output_gate", dc, do_pre, w)

        # c_t = f_t * c_{t-1} + i_t * g_t
        dc_own = edits.backward("cell", dc)
        di = added(dc_own * g, part(d.gates, 0))
        df = added(dc_own * c_prev, part(d.gates, 1))
        dg = added(dc_own * i, part(d.gates, 2))
        di_own = edits.backward("input_gate", di)
        df_own = edits.backward("forget_gate", df)
        dg_own = edits.backward("candidate", dg)
        di_pre = added(di_own * self.input_gate.squash.slope(i_own), part(d.pre, 0))
        df_pre = added(df_own * self.forget_gate.squash.slope(f_own), part(d.pre, 1))
        dg_pre = added(dg_own * self.candidate.squash.slope(g_own), part(d.pre, 2))
        dc_prev = dc_own * f
        dc_prev = self._peeked("input_gate", dc_prev, di_pre, w)
        dc_prev = self._peeked("forget_gate", dc_prev, df_pre, w)

        # all four sums are W x_t + b_x + U h_{t-1} + b_h
        dpre = torch.stack((di_pre, df_pre, dg_pre, do_pre), -2)  # (B, 4, H)
        return StepBackward(
            dx_term=dpre,
            dh_term=dpre,
            dh_prev=dpre.flatten(-2) @ w.U,
            dc_prev=dc_prev,
            dc=dc,
            dgates=torch.stack((di, df, dg, do), -2),
            m=o * tanh_c,
            dVm=dh,
        )

    @property
    def peepholes(self) -> tuple[str, ...]:
        """Names of the gates that read the cell state, in the order of the rows of `Weights.p`."""
        return tuple(gate.name for gate in self.gates if gate.peephole)

    def _peek(self, gate: str, pre: Tensor, c: Tensor, w: Weights) -> Tensor:
        """Adds the peephole's p * c, if this gate has one."""
        if gate not in self.peepholes:
            return pre
        return pre + _present(w.p)[self.peepholes.index(gate)] * c

    def _peeked(self, gate: str, dc: Tensor, dpre: Tensor, w: Weights) -> Tensor:
        """Adds what comes back through this gate's peephole to dL/dc."""
        if gate not in self.peepholes:
            return dc
        return dc + dpre * _present(w.p)[self.peepholes.index(gate)]


def with_peepholes(cell: LSTM) -> LSTM:
    """The LSTM whose three gates also read the cell state (Gers et al. 2002, eq. 1 to 5)."""
    return replace(
        cell,
        input_gate=replace(cell.input_gate, reads=("x", "h", "c_prev")),
        forget_gate=replace(cell.forget_gate, reads=("x", "h", "c_prev")),
        output_gate=replace(cell.output_gate, reads=("x", "h", "c")),
    )


def _present(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "the LSTM has a cell state, and a peephole its weights"
    return tensor
