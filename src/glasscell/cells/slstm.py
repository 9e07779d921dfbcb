"""The LSTM with exponential gating (Beck et al. 2024, "xLSTM", section 2.2: sLSTM).

    i_t = exp(i_pre)                                  f_t = sigmoid(f_pre), or exp(f_pre)
    g_t = tanh(g_pre)                                 o_t = sigmoid(o_pre)
    m_t = max(log f_t + m_{t-1}, log i_t)             stabilizer: the largest exponent so far
    i'_t = exp(log i_t - m_t)                         f'_t = exp(log f_t + m_{t-1} - m_t)
    c_t = f'_t * c_{t-1} + i'_t * g_t                 cell state
    n_t = f'_t * n_{t-1} + i'_t                       normalizer
    h_t = o_t * c_t / n_t

An exponential has no upper end, so what is computed, recorded and edited are the stabilised gates
i' and f': dividing c and n alike by exp(m_t) changes no h. (The paper's z_t is called g_t here.)

Zoneout of the cell holds C = c exp(m) and N = n exp(m), whatever m they are told in. With m', c'
and n' what m_t, c_t and n_t would be without it, of which the hidden state is made, it holds what
they are divided by just as well:

    exp(m_t) = k * exp(m_{t-1}) + (1 - k) * exp(m')
    rho_t = exp(log k + m_{t-1} - m_t)                how much is held of the old state
    nu_t = exp(log(1 - k) + m' - m_t) = 1 - rho_t     how much comes of the new one
    c_t = rho_t * c_{t-1} + nu_t * c'                 n_t likewise

So that where k is 1 all three stay as they were, where it is 0 none of them is held, and in between
c_t and n_t are means of the old and the new ones, which leave no range that these are in.

A normalizer is a sum of what was written, and not negative; an initial one is taken to be so. What
h_t divides by is at least the smallest normal number, and so a given n_0 < 0 makes h huge. From
m_0 = 0, as a layer begins, exponents far below 0 fade beside a state in which there is nothing yet;
a given m_0 = -inf leaves it out.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from glasscell.cells.cell import (
    Cell,
    Step,
    StepBackward,
    StepGradient,
    added,
    part,
    require_parts,
    summed_backward,
    summed_terms,
)
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.gates import EXPONENTIAL, SIGMOID, TANH, GateMap, Weights
from glasscell.cells.noise import NOISELESS, StepNoise

FORGETTING = ("sigmoid", "exponential")


@dataclass(frozen=True)
class SLSTM(Cell):
    """The sLSTM's definition.

    Attributes:
        forgetting: of what the forget gate is made, "sigmoid" or "exponential".
    """

    input_gate: GateMap = GateMap("input_gate", "i", EXPONENTIAL)
    forget_gate: GateMap = GateMap("forget_gate", "f", EXPONENTIAL)
    candidate: GateMap = GateMap("candidate", "g", TANH)
    output_gate: GateMap = GateMap("output_gate", "o", SIGMOID)
    forgetting: str = "sigmoid"

    kind = "slstm"
    noun = "an sLSTM"
    carried = ("cell", "normalizer", "stabilizer")

    def __post_init__(self) -> None:
        require_parts(self)
        if self.forgetting not in FORGETTING:
            raise ValueError(f"forgetting: expected one of {FORGETTING}, got {self.forgetting!r}")
        for name in ("input_gate", "forget_gate", "candidate", "output_gate"):
            gate = getattr(self, name)
            if gate.reads != ("x", "h"):
                raise ValueError(f"{name}: an slstm runs it reading ('x', 'h'), got {gate.reads}")
            if gate.squash is EXPONENTIAL and gate.stochastic:
                raise ValueError(f"stochastic: the {name} of an slstm is no probability")
        if {self.input_gate.squash, self.forget_gate.squash} != {EXPONENTIAL}:
            raise ValueError("squash: an slstm's input and forget gates are exponential")

    @property
    def gates(self) -> tuple[GateMap, ...]:
        return self.input_gate, self.forget_gate, self.candidate, self.output_gate

    @property
    def keeping(self) -> tuple[GateMap, int]:
        return self.forget_gate, 1

    def sum_at(self, gate: GateMap, odds: Tensor) -> Tensor | None:
        if gate.squash is not EXPONENTIAL:
            return super().sum_at(gate, odds)
        if gate == self.forget_gate and self.forgetting == "exponential":
            return -torch.log1p(1 / odds)
        return odds.log()  # an input gate may have any scale: the normalizer takes it out again

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, _ = gates.unbind(-2)
        return f, i * g

    def largest(self, i_pre: Tensor, f_pre: Tensor, m_prev: Tensor) -> Tensor:
        """m_t, before any edit and without zoneout."""
        return torch.maximum(self._kept(f_pre, m_prev), i_pre)

    def _kept(self, f_pre: Tensor, m_prev: Tensor) -> Tensor:
        """log f_t + m_{t-1}."""
        return m_prev + (F.logsigmoid(f_pre) if self.forgetting == "sigmoid" else f_pre)

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
        c_prev, n_prev, m_prev = c.chunk(3, -1)  # each (B, H)
        pre = summed_terms(x, noise.read(h), w, self.G)
        i_pre, f_pre, g_pre, o_pre = pre.unbind(-2)

        m_t = m_new = edits.apply("stabilizer", self.largest(i_pre, f_pre, m_prev))
        i = edits.apply("input_gate", (i_pre - m_new).exp())
        f = edits.apply("forget_gate", (self._kept(f_pre, m_prev) - m_new).exp())
        g = edits.apply("candidate", noise.gate(self.candidate, g_pre))
        c_new, n_new = f * c_prev + i * g, f * n_prev + i
        c_shown, n_shown = edits.apply("cell", c_new), edits.apply("normalizer", n_new)
        c_t, n_t = c_shown, n_shown
        if "cell" in noise.stays:  # what is shown is not what is held
            held, moved = exponents(noise.stays["cell"], m_prev, m_new)
            m_t = edits.apply("stabilizer", torch.logaddexp(held, moved))
            rho, nu = weights_of(held, moved, m_t)
            c_t = edits.apply("cell", rho * c_prev + nu * c_new)
            n_t = edits.apply("normalizer", rho * n_prev + nu * n_new)

        o = edits.apply("output_gate", noise.gate(self.output_gate, o_pre))
        h_new = o * c_shown / _at_least_tiny(n_shown)
        if w.V is not None:
            h_new = h_new @ w.V.T  # (B, P)
        h_t = edits.apply("hidden", noise.held("hidden", h_new, h))
        gates = torch.stack((i, f, g, o), -2)
        return Step(pre, gates, h_t, torch.cat((c_t, n_t, m_t), -1))

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
        c_prev, n_prev, m_prev = c.chunk(3, -1)  # each (B, H)
        c_t, n_t, m_t = step.c.chunk(3, -1)
        i, f, g, o = step.gates.unbind(-2)
        i_pre, f_pre, _, _ = step.pre.unbind(-2)
        kept = self._kept(f_pre, m_prev)
        m_new, c_new, n_new = m_t, f * c_prev + i * g, f * n_prev + i
        if "cell" in noise.stays:  # what is shown is not what is held
            m_new = edits.apply("stabilizer", self.largest(i_pre, f_pre, m_prev))
            c_t, n_t = edits.apply("cell", c_new), edits.apply("normalizer", n_new)
        _, _, g_slope, o_slope = self.slopes(step, edits, noise)
        dh = torch.zeros_like(step.h) if d.h is None else edits.backward("hidden", d.h)
        dh_new, dh_held = noise.held_backward("hidden", dh)
        dc, dn, dm = torch.zeros_like(step.c).chunk(3, -1) if d.c is None else d.c.chunk(3, -1)

        # h_t = V (o_t * c_t / n_t)
        shown = dh_new if w.V is None else dh_new @ w.V  # (B, H)
        floor = _at_least_tiny(n_t)
        do = added(shown * c_t / floor, part(d.gates, 3))
        do_pre = added(edits.backward("output_gate", do) * o_slope, part(d.pre, 3))
        dc_shown = shown * o / floor
        dn_shown = -torch.where(n_t == floor, shown * o * c_t / floor / floor, 0)

        # c_t = rho_t * c_{t-1} + nu_t * c',  n_t likewise,  m_t = log(k exp(m_{t-1}) + ...)
        dc_new, dn_new = edits.backward("cell", dc), edits.backward("normalizer", dn)
        dc_held = dn_held = dm_held = None
        dm_new = dm
        if "cell" in noise.stays:
            held, moved = exponents(noise.stays["cell"], m_prev, m_new)
            rho, nu = weights_of(held, moved, m_t)
            dc_held, dn_held = rho * dc_new, rho * dn_new
            dm_held = dc_held * c_prev + dn_held * n_prev
            dc_new, dn_new = nu * dc_new, nu * dn_new
            dm_new = dc_new * c_new + dn_new * n_new
            dm = dm - dm_held - dm_new
            dm_own = edits.backward("stabilizer", dm)
            share = torch.where(moved == -torch.inf, 1, (held - moved).sigmoid())
            dm_held, dm_new = dm_held + share * dm_own, dm_new + (1 - share) * dm_own
        dc_new, dc = dc_new + edits.backward("cell", dc_shown), dc + dc_shown
        dn_new, dn = dn_new + edits.backward("normalizer", dn_shown), dn + dn_shown

        # c' = f'_t * c_{t-1} + i'_t * g_t,  n' = f'_t * n_{t-1} + i'_t
        di = added(dc_new * g + dn_new, part(d.gates, 0))
        df = added(dc_new * c_prev + dn_new * n_prev, part(d.gates, 1))
        dg = added(dc_new * i, part(d.gates, 2))
        dg_pre = added(edits.backward("candidate", dg) * g_slope, part(d.pre, 2))

        # i'_t = exp(i_pre - m'),  f'_t = exp(log f_t + m_{t-1} - m')
        along_i = _along(edits.backward("input_gate", di), (i_pre - m_new).exp())
        along_f = _along(edits.backward("forget_gate", df), (kept - m_new).exp())
        dm_new = dm_new - along_i - along_f
        dm = dm + dm_new if "cell" in noise.stays else dm_new
        dm_own, share = edits.backward("stabilizer", dm_new), _share(kept, i_pre)
        di_pre = added(along_i + dm_own * (1 - share), part(d.pre, 0))
        dkept = along_f + dm_own * share
        df_pre = dkept * (-f_pre).sigmoid() if self.forgetting == "sigmoid" else dkept
        df_pre = added(df_pre, part(d.pre, 1))

        dpre = torch.stack((di_pre, df_pre, dg_pre, do_pre), -2)  # (B, 4, H)
        dh_term, dh_prev = summed_backward(dpre, w, noise)
        dc_prev = added(dc_new * f, dc_held), added(dn_new * f, dn_held), added(dkept, dm_held)
        return StepBackward(
            dx_term=dpre,
            dh_term=dh_term,
            dh_prev=added(dh_prev, dh_held),
            dc_prev=torch.cat(dc_prev, -1),
            dc=torch.cat((dc, dn, dm), -1),
            dgates=torch.stack((di, df, dg, do), -2),
            m=o * c_t / floor,
            dVm=dh_new,
        )


def exponents(k: Tensor | float, m_prev: Tensor, m_new: Tensor) -> tuple[Tensor, Tensor]:
    """log k + m_{t-1} and log(1 - k) + m': what the held and the new state are told in."""
    if isinstance(k, Tensor):  # 0 and 1, as drawn
        stays = k.to(m_prev)
        return stays.log() + m_prev, (-stays).log1p() + m_new
    return math.log(k) + m_prev, math.log1p(-k) + m_new


def weights_of(held: Tensor, moved: Tensor, m_t: Tensor) -> tuple[Tensor, Tensor]:
    """rho_t and nu_t, of a state too of which there is nothing yet: m_{t-1} = -inf."""
    nothing = m_t == -torch.inf
    scale = torch.where(nothing, 0, m_t)
    return torch.where(nothing, 1, (held - scale).exp()), (moved - scale).exp()


def _along(d: Tensor, slope: Tensor) -> Tensor:
    """d * slope, 0 where an edit let no gradient through, however steep it would be."""
    return torch.where(d == 0, 0, d * slope)


def _at_least_tiny(n: Tensor) -> Tensor:
    """So that nothing written yet, c = n = 0, shows as 0, instead of 0 / 0."""
    return n.clamp_min(torch.finfo(n.dtype).tiny)


def _share(first: Tensor, second: Tensor) -> Tensor:
    """How much of dL/d(the larger of both) is the first one's; half of it where they are equal, as
    in autograd.
    """
    return torch.where(first > second, 1.0, torch.where(first < second, 0.0, 0.5)).to(first)
