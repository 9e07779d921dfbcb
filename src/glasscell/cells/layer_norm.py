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

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient, added
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.endings import (
    GatesBackward,
    cell_state,
    cell_state_backward,
    hidden_backward,
)
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Squash, Weights
from glasscell.cells.noise import NOISELESS, StepNoise

EPSILON = 1e-5


def normalised(v: Tensor) -> Tensor:
    """norm(v) over the last dimension."""
    return F.layer_norm(v, v.shape[-1:], eps=EPSILON)


def normalised_backward(dnorm: Tensor, v: Tensor) -> Tensor:
    """dL/dv from dL/dnorm(v), over the last dimension."""
    wide = torch.promote_types(v.dtype, torch.float32)  # as `F.layer_norm` does it within
    v_wide, d = v.to(wide), dnorm.to(wide)
    centred = v_wide - v_wide.mean(-1, keepdim=True)
    scale = (centred.square().mean(-1, keepdim=True) + EPSILON).rsqrt()
    norm = centred * scale
    along = (d * norm).mean(-1, keepdim=True)
    return (scale * (d - d.mean(-1, keepdim=True) - along * norm)).to(v.dtype)


def _blocks(v: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
    """(B, size*H) each, of (B, G*H): the gates that are normalised together."""
    H = v.shape[-1] // sum(sizes)
    return v.split([size * H for size in sizes], -1)


def _terms(x: Tensor, h: Tensor, w: Weights, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """a_x * norm(W x_t) + b_x and a_h * norm(U h_{t-1}) + b_h, (B, G*H) each, normalised within
    each of the blocks of `sizes` gates.
    """
    assert w.a is not None
    terms = []
    for v, gain, bias in (
        (F.linear(x, w.W), w.a[0], w.b_x),
        (F.linear(h, w.U), w.a[1], w.b_h),
    ):
        term = gain * torch.cat([normalised(block) for block in _blocks(v, sizes)], -1)
        terms.append(added(term, bias))
    return terms[0], terms[1]


def _terms_backward(
    dx: Tensor, dh: Tensor, x: Tensor, h: Tensor, w: Weights, sizes: tuple[int, ...]
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """dL/d(W x_t) and dL/d(U h_{t-1}), and dL/d(gains and biases) by their letters, from dL/d(each
    term) dx and dh; (B, G, H) each.
    """
    assert w.a is not None
    products, da, db = [], [], []
    for d, v, gain in ((dx, F.linear(x, w.W), w.a[0]), (dh, F.linear(h, w.U), w.a[1])):
        d = d.flatten(-2)
        blocks = _blocks(v, sizes)
        da.append((d * torch.cat([normalised(block) for block in blocks], -1)).sum(0))
        db.append(d.sum(0))
        pairs = zip(_blocks(gain * d, sizes), blocks, strict=True)
        dv = torch.cat([normalised_backward(dnorm, block) for dnorm, block in pairs], -1)
        products.append(dv.unflatten(-1, (sum(sizes), -1)))
    return products[0], products[1], {"a": torch.stack(da), "b_x": db[0], "b_h": db[1]}


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
        c_t, shown = cell_state(c_new, c, edits, noise)
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
        dx_term, dh_term, dw = _terms_backward(dpre, dpre, x, noise.read(h), w, (4,))
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
        dx_term, dh_term, dw = _terms_backward(back.dpre, dpre_h, x, read, w, (2, 1))
        dh_prev = dh_new * z + noise.read(dh_term.flatten(-2) @ w.U)
        return StepBackward(
            dx_term=dx_term,
            dh_term=dh_term,
            dh_prev=added(dh_prev, dh_held),
            dw=dw,
            dgates=back.dgates,
        )


def require_both(cell: Cell) -> None:
    """Raises ValueError where a gate does not read x and h, and nothing else."""
    for gate in cell.gates:
        if gate.reads != ("x", "h"):
            raise ValueError(
                f"{gate.name}: a {cell.kind} runs it reading ('x', 'h'), got {gate.reads}"
            )
