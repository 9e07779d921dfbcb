"""The loops that people write for a variant: W x_t + b_x for all steps at once, and then the cell
in Python, step by step, as autograd sees it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

import glasscell
from glasscell.cells import GRU, LSTM, RNN, SLSTM, Cell, GateMap, Weights
from glasscell.cells.layer_norm_gru import NormalisedGRU
from glasscell.cells.layer_norm_lstm import NormalisedLSTM
from glasscell.nn.options import Chance


class LoopedVariant(glasscell.Recurrent):
    """A layer in training mode, run by such a loop.

    It gives (output, ()): a loop has no use for last states.
    """

    def forward(self, input: Tensor, *_) -> tuple[Tensor, tuple[()]]:  # type: ignore[override]
        w = self.chance.weights(self.weights(), training=True)
        return LOOPS[self.cell.kind](self.cell, input, w, self.chance), ()


def lstm(cell: LSTM, x: Tensor, w: Weights, chance: Chance) -> Tensor:
    """Hidden states (T, B, H) of x (T, B, I)."""
    h = c = x.new_zeros(x.shape[1], w.W.shape[0] // cell.G)
    mask = _mask(h, chance)
    letters = [gate.letter for gate in cell.gates]
    p = {} if w.p is None else dict(zip(cell.peepholes, w.p, strict=True))
    input_gate, forget_gate, output_gate = cell.input_gate, cell.forget_gate, cell.output_gate
    hs = []
    for pre_x in F.linear(x, w.W, w.b_x):
        read = h if mask is None else h * mask
        pre = pre_x + F.linear(read, w.U, w.b_h) if len(w.U) else pre_x
        v = dict(zip(letters, pre.chunk(cell.G, -1), strict=True))  # each (B, H)
        i = f = o = None
        if input_gate is not None:
            i = _open(input_gate, _peeking(v["i"], p.get("input_gate"), c))
        if forget_gate is not None:
            f = _open(forget_gate, _peeking(v["f"], p.get("forget_gate"), c))
        g = _open(cell.candidate, v["g"])
        if cell.sharing == "normalized":
            assert i is not None
            assert f is not None
            total = i + f
            i, f = i / total, f / total
        elif cell.sharing == "complement" and f is not None:
            i = 1 - (v["f"] - cell.beta).sigmoid()
        elif cell.sharing == "complement" and i is not None:
            f = 1 - i
        c_new = (c if f is None else f * c) + (g if i is None else i * g)
        c = _held(c, c_new, chance.zoneout[0])
        h_new = cell.output_squash.apply(c_new)
        if output_gate is not None:
            o = _open(output_gate, _peeking(v["o"], p.get("output_gate"), c))
            h_new = o * h_new
        h = _held(h, h_new, chance.zoneout[1])
        hs.append(h)
    return torch.stack(hs)


def slstm(cell: SLSTM, x: Tensor, w: Weights, chance: Chance) -> Tensor:
    """The same of an sLSTM."""
    h = c = n = m = x.new_zeros(x.shape[1], w.U.shape[1])
    hs = []
    for pre_x in F.linear(x, w.W, w.b_x):
        i_pre, f_pre, g_pre, o_pre = (pre_x + F.linear(h, w.U, w.b_h)).chunk(4, -1)
        log_f = F.logsigmoid(f_pre) + m
        m = torch.maximum(log_f, i_pre)
        i, f = (i_pre - m).exp(), (log_f - m).exp()
        c = f * c + i * g_pre.tanh()
        n = f * n + i
        h = o_pre.sigmoid() * c / n
        hs.append(h)
    return torch.stack(hs)


def gru(cell: GRU, x: Tensor, w: Weights, chance: Chance) -> Tensor:
    """The same of a GRU, or of one without a reset gate whose gates read x alone."""
    h = x.new_zeros(x.shape[1], w.W.shape[0] // cell.G)
    hs = []
    for pre_x in F.linear(x, w.W, w.b_x):
        if cell.reset_gate is None:
            z_pre, n_pre = pre_x.chunk(2, -1)
            z = _open(cell.update_gate, z_pre)
        else:
            r_x, z_x, n_x = pre_x.chunk(3, -1)
            r_h, z_h, q = F.linear(h, w.U, w.b_h).chunk(3, -1)
            r, z = _open(cell.reset_gate, r_x + r_h), _open(cell.update_gate, z_x + z_h)
            n_pre = n_x + r * q
        h = (1 - z) * _open(cell.candidate, n_pre) + z * h
        hs.append(h)
    return torch.stack(hs)


def rnn(cell: RNN, x: Tensor, w: Weights, chance: Chance) -> Tensor:
    """The same of a simple RNN or an IndRNN."""
    h = x.new_zeros(x.shape[1], w.W.shape[0])
    hs = []
    for pre_x in F.linear(x, w.W, w.b_x):
        of_past = F.linear(h, w.U, w.b_h) if w.p is None else w.p[0] * h
        h = cell.hidden.squash.apply(pre_x + of_past)
        hs.append(h)
    return torch.stack(hs)


def layer_norm_lstm(cell: NormalisedLSTM, x: Tensor, w: Weights, chance: Chance) -> Tensor:
    """The same of a layer-normalised LSTM."""
    assert w.a is not None
    assert w.a_c is not None
    h = c = x.new_zeros(x.shape[1], w.U.shape[1])
    size, hs = w.U.shape[:1], []
    for pre_x in F.layer_norm(F.linear(x, w.W), size, w.a[0], w.b_x):
        pre = pre_x + F.layer_norm(F.linear(h, w.U), size, w.a[1], w.b_h)
        i_pre, f_pre, g_pre, o_pre = pre.chunk(4, -1)
        c = f_pre.sigmoid() * c + i_pre.sigmoid() * g_pre.tanh()
        h = o_pre.sigmoid() * F.layer_norm(c, c.shape[1:], w.a_c[0], w.a_c[1]).tanh()
        hs.append(h)
    return torch.stack(hs)


def layer_norm_gru(cell: NormalisedGRU, x: Tensor, w: Weights, chance: Chance) -> Tensor:
    """The same of a layer-normalised GRU: r and z are normalised together, n by itself."""
    assert w.a is not None
    H = w.U.shape[1]
    h = x.new_zeros(x.shape[1], H)

    def normalised(v: Tensor, gain: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        b_gates, b_n = (None, None) if bias is None else bias.split((2 * H, H))
        gates, n = v.split((2 * H, H), -1)
        return (
            F.layer_norm(gates, (2 * H,), gain[: 2 * H], b_gates),
            F.layer_norm(n, (H,), gain[2 * H :], b_n),
        )

    hs = []
    for gates_x, n_x in zip(*normalised(F.linear(x, w.W), w.a[0], w.b_x), strict=True):
        gates_h, q = normalised(F.linear(h, w.U), w.a[1], w.b_h)
        r, z = (gates_x + gates_h).sigmoid().chunk(2, -1)
        n = (n_x + r * q).tanh()
        h = (1 - z) * n + z * h
        hs.append(h)
    return torch.stack(hs)


LOOPS = {
    "lstm": lstm,
    "slstm": slstm,
    "gru": gru,
    "rnn": rnn,
    "layer_norm_lstm": layer_norm_lstm,
    "layer_norm_gru": layer_norm_gru,
}


def has_loop(cell: Cell) -> bool:
    """Whether there is a loop for it here."""
    return cell.kind in LOOPS and getattr(cell, "reset_after", True)


def _peeking(v: Tensor, p: Tensor | None, c: Tensor) -> Tensor:
    return v if p is None else v + p * c


def _open(gate: GateMap, v: Tensor) -> Tensor:
    """The gate's value; drawn where it is stochastic."""
    if gate.stochastic == "gumbel":
        u = torch.rand_like(v)
        return ((v + u.log() - (1 - u).log()) / gate.temperature).sigmoid()
    odds = gate.squash.apply(v)
    if gate.stochastic == "bernoulli":
        return torch.bernoulli(odds.detach()) + odds - odds.detach()
    return odds


def _held(old: Tensor, new: Tensor, rate: float) -> Tensor:
    """Zoneout: some units stay as they were."""
    return torch.where(torch.rand_like(new) < rate, old, new) if rate else new


def _mask(h: Tensor, chance: Chance) -> Tensor | None:
    rate = chance.recurrent_dropout
    return F.dropout(torch.ones_like(h), rate) if rate else None
