"""The long short-term memory cell (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

    i_t = sigmoid(W_i x_t + U_i h_{t-1} + b_i)     input gate: how much of the candidate goes in
    f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)     forget gate: how much of the cell state stays
    g_t = tanh   (W_g x_t + U_g h_{t-1} + b_g)     candidate: what could be written
    o_t = sigmoid(W_o x_t + U_o h_{t-1} + b_o)     output gate: how much is shown
    c_t = f_t * c_{t-1} + i_t * g_t                cell state: the memory
    h_t = o_t * tanh(c_t)                          hidden state: what others see

With a projection (Sak et al. 2014) h_t = V (o_t * tanh(c_t)). With peepholes (Gers et al. 2002)
a gate also reads p * c: the input and forget gates c_{t-1}, the output gate c_t. A gate that is
left out is 1 (Greff et al. 2017), unless the input and forget gates share:

    complement     the one that is there says it for both, f_t = 1 - i_t or i_t = 1 - f_t
    normalized     c_t = (f_t * c_{t-1} + i_t * g_t) / (i_t + f_t)
"""

import math
from dataclasses import dataclass, replace

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
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Squash, Weights
from glasscell.cells.noise import NOISELESS, StepNoise

SHARING = ("complement", "normalized")
MOST_BETA = 60  # of which single precision can still take exp(beta), and its square


@dataclass(frozen=True)
class LSTM(Cell):
    """The LSTM's definition. Which gates there are, what each reads and how it squashes are
    configurations.

    Attributes:
        input_gate, forget_gate, output_gate: None where the gate is left out.
        output_squash: of the cell state, on its way out.
        sharing: None, or how the input and forget gates share what they have: "complement" where
            one of them is left out, "normalized" where both are there.
        beta: with a complement of the forget gate, i_t = k (1 - f_t) / (f_t + k (1 - f_t)) where
            k = exp(beta); that is 1 - sigmoid(f_pre - beta) of a gate that ends in a sigmoid. With
            beta > 0 it writes while it keeps (van der Westhuizen and Lasenby 2018, section 3).
    """

    input_gate: GateMap | None = GateMap("input_gate", "i", SIGMOID)
    forget_gate: GateMap | None = GateMap("forget_gate", "f", SIGMOID)
    candidate: GateMap = GateMap("candidate", "g", TANH)
    output_gate: GateMap | None = GateMap("output_gate", "o", SIGMOID)
    output_squash: Squash = TANH
    sharing: str | None = None
    beta: float = 0.0

    kind = "lstm"
    noun = "an LSTM"
    carried = ("cell",)

    def __post_init__(self) -> None:
        require_reads(
            self,
            (self.input_gate, "x [h] [c_prev]"),
            (self.forget_gate, "x [h] [c_prev]"),
            (self.candidate, "x [h]"),
            (self.output_gate, "x [h] [c]"),
        )
        require_one_past(self)
        there = (self.input_gate is not None) + (self.forget_gate is not None)
        if self.sharing not in (None, *SHARING):
            raise ValueError(f"sharing: expected one of {SHARING} or None, got {self.sharing!r}")
        if self.sharing and there != SHARING.index(self.sharing) + 1:
            raise ValueError(
                f'sharing: "{self.sharing}" takes {SHARING.index(self.sharing) + 1} of input_gate '
                f"and forget_gate, got {there}"
            )
        if self.beta and not (self.sharing == "complement" and self.forget_gate):
            raise ValueError(f"beta: only the complement of a forget gate has one, got {self.beta}")
        if not -MOST_BETA <= self.beta <= MOST_BETA:
            raise ValueError(f"beta: expected from -{MOST_BETA} to {MOST_BETA}, got {self.beta}")

    @property
    def keeping(self) -> tuple[GateMap, int] | None:
        if self.forget_gate is not None:
            return self.forget_gate, 1
        if self.sharing and self.input_gate is not None:
            return self.input_gate, -1
        return None

    @property
    def gates(self) -> tuple[GateMap, ...]:
        every = self.input_gate, self.forget_gate, self.candidate, self.output_gate
        return tuple(gate for gate in every if gate is not None)

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        value = self._by_letter(gates)
        written, kept = self._shares(value.get("i"), value.get("f"))
        g = value["g"]
        return torch.ones_like(g) if kept is None else kept, g if written is None else written * g

    def shown(self, gates: Tensor, c: Tensor, w: Weights) -> Tensor:
        """h_t (..., P) from the gates (..., G, H) and c_t (..., H)."""
        h = _times(self._by_letter(gates).get("o"), self.output_squash.apply(c))
        return h if w.V is None else h @ w.V.T

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
        c_prev = _present(c)
        pre = self._by_letter(summed_terms(x, noise.read(h), w, self.G))  # each (B, H)
        value: dict[str, Tensor] = {}

        def value_of(gate: GateMap | None, state: Tensor | None) -> Tensor | None:
            if gate is None:
                return None
            if gate.peephole:
                pre[gate.letter] = pre[gate.letter] + self._peephole(gate, w) * _present(state)
            value[gate.letter] = opened(gate, pre[gate.letter], edits, noise)
            return value[gate.letter]

        i = value_of(self.input_gate, c_prev)
        f = value_of(self.forget_gate, c_prev)
        g = value_of(self.candidate, None)
        written, kept = self._shares(i, f)
        c_new = _times(kept, c_prev) + _times(written, _present(g))
        c_t, shown = cell_state(c_new, c_prev, edits, noise)

        o = value_of(self.output_gate, c_t)
        h_t = hidden_state(_times(o, self.output_squash.apply(shown)), h, w, edits, noise)

        letters = [gate.letter for gate in self.gates]
        pres, values = (torch.stack([v[k] for k in letters], -2) for v in (pre, value))
        return Step(pres, values, h_t, c_t)

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
        c_prev, c_t = _present(c), _present(step.c)
        value = self._by_letter(step.gates)  # each (B, H)
        i, f, g, o = (value.get(letter) for letter in "ifgo")
        written, kept = self._shares(i, f)
        shown = c_t
        if "cell" in noise.stays:
            shown = edits.apply("cell", _times(kept, c_prev) + _times(written, _present(g)))
        squashed_c = self.output_squash.apply(shown)
        back = GatesBackward(self, d, step, edits, noise)

        # h_t = V m_t,  m_t = o_t * tanh(c_t)
        dh_new, dh_held = hidden_backward(d, step, edits, noise)
        dm = dh_new if w.V is None else dh_new @ w.V  # (B, H)
        dshown = _times(o, dm) * self.output_squash.slope(squashed_c)
        dc = torch.zeros_like(dshown) if d.c is None else d.c
        if self.output_gate is not None:
            do_pre = back.through(self.output_gate, dm * squashed_c)
            dc = self._peeked(self.output_gate, dc, do_pre, w)

        # c_t = f_t * c_{t-1} + i_t * g_t
        dc, dc_new, dc_held = cell_state_backward(dc, dshown, edits, noise)
        back.through(self.candidate, _times(written, dc_new))
        di, df = self._shares_backward(dc_new * _present(g), dc_new * c_prev, i, f)
        dc_prev = added(_times(kept, dc_new), dc_held)
        for gate, dq in ((self.input_gate, di), (self.forget_gate, df)):
            if gate is not None:
                dpre = back.through(gate, _present(dq))
                dc_prev = self._peeked(gate, dc_prev, dpre, w)

        # all sums are W x_t + b_x + U h_{t-1} + b_h
        dpres = back.dpre  # (B, G, H)
        dh_term, dh_prev = summed_backward(dpres, w, noise)
        return StepBackward(
            dx_term=dpres,
            dh_term=dh_term,
            dh_prev=added(dh_prev, dh_held),
            dc_prev=dc_prev,
            dc=dc,
            dgates=back.dgates,
            m=_times(o, squashed_c),
            dVm=dh_new,
        )

    def _by_letter(self, stacked: Tensor) -> dict[str, Tensor]:
        """The (..., H) parts of a (..., G, H) tensor by their gates' letters."""
        letters = [gate.letter for gate in self.gates]
        return dict(zip(letters, stacked.unbind(-2), strict=True))

    def _shares(self, i: Tensor | None, f: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """How much of the candidate is written, and how much of the cell state stays; None: all."""
        if self.sharing == "complement" and f is not None:
            k = math.exp(self.beta) * (1 - f)
            return k / (f + k), f  # 1 - sigmoid(f_pre - beta), in terms of f = sigmoid(f_pre)
        if self.sharing == "complement" and i is not None:
            return i, 1 - i
        if self.sharing == "normalized" and i is not None and f is not None:
            total = _or_one(i + f)
            return i / total, f / total
        return i, f

    def _shares_backward(
        self, dwritten: Tensor, dkept: Tensor, i: Tensor | None, f: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """dL/di and dL/df, from dL/d(how much is written, how much stays)."""
        if self.sharing == "complement" and f is not None:
            k = math.exp(self.beta)
            return None, dkept - dwritten * k / (f + k * (1 - f)).square()
        if self.sharing == "complement":
            return dwritten - dkept, None
        if self.sharing == "normalized" and i is not None and f is not None:
            total, d = _or_one(i + f), dwritten - dkept
            shut = i + f == 0
            di = torch.where(shut, dwritten, d * (f / total) / total)
            return di, torch.where(shut, dkept, -d * (i / total) / total)
        return dwritten, dkept

    def _peephole(self, gate: GateMap, w: Weights) -> Tensor:
        return _present(w.p)[self.peepholes.index(gate.name)]

    def _peeked(self, gate: GateMap, dc: Tensor, dpre: Tensor, w: Weights) -> Tensor:
        """Adds what comes back through this gate's peephole to dL/dc."""
        return dc + dpre * self._peephole(gate, w) if gate.peephole else dc


def with_peepholes(cell: LSTM) -> LSTM:
    """The LSTM whose gates also read the cell state (Gers et al. 2002, eq. 1 to 5)."""

    def peeking(gate: GateMap | None, state: str) -> GateMap | None:
        return gate and replace(gate, reads=(*(v for v in gate.reads if v != state), state))

    return replace(
        cell,
        input_gate=peeking(cell.input_gate, "c_prev"),
        forget_gate=peeking(cell.forget_gate, "c_prev"),
        output_gate=peeking(cell.output_gate, "c"),
    )


def _times(a: Tensor | None, b: Tensor) -> Tensor:
    """a * b, where a gate that is left out is 1."""
    return b if a is None else a * b


def _or_one(total: Tensor) -> Tensor:
    """So that two gates that are both shut, as drawn ones can be, let nothing through."""
    return torch.where(total == 0, 1, total)


def _present(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "the LSTM has a cell state, and a peephole its weights"
    return tensor
