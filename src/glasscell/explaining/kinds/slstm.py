"""How an sLSTM's step is told (`glasscell.cells.slstm`)."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from glasscell.cells import SLSTM, GateMap
from glasscell.explaining.expressions import Expression, Less, Name, Over, Product, Sum
from glasscell.explaining.formulas import ONE, before_squash, function, gate_part, seen
from glasscell.explaining.kinds.lstm import C_BEFORE, MEMORY, G, output_part
from glasscell.explaining.telling import GatePart, Setting, StatePart, Telling, Told

INPUT, FORGET = Name("i'_t"), Name("f'_t")
M, M_BEFORE, N_BEFORE = (Name(v) for v in ("m_t", "m_{t-1}", "n_{t-1}"))
RHO, NU, M_NEW, K = (Name(v) for v in ("\\rho_t", "\\nu_t", "m'_t", "k_c"))
INPUT_PURPOSE = (
    "How much of the candidate is let into the memory: $\\exp$ of its sum, which has no upper end. "
    "It is computed below, relative to the stabilizer."
)
FORGET_PURPOSE = (
    "How much of the old cell state stays. It is computed below, relative to the stabilizer."
)
STABILIZER = (
    "An exponential soon leaves the range of numbers. So both gates are divided by "
    "$\\exp(m_t)$, the largest exponent so far: at most 1 is left. What they are divided by goes "
    "out of $c_t$ and $n_t$ alike, and $h_t$ does not change."
)
HELD = (
    "What zoneout holds, it holds as it was, in the scale of $m_{t-1}$, and what is new is told in "
    "that of $m'_t$: $\\rho_t$ and $\\nu_t$ bring both into one. $\\mathrm{logaddexp}(a, b) = "
    "\\log(\\exp a + \\exp b)$: the scale is held too, and so $\\rho_t + \\nu_t = 1$."
)
NORMALIZER = (
    "The normalizer adds up how much was written and is still there; $c_t / n_t$ is a weighted "
    "mean of candidates."
)


def tell_slstm(cell: SLSTM, setting: Setting) -> Telling:
    """The telling of an sLSTM."""

    def told_later(gate: GateMap, symbol: str, purpose: str) -> GatePart:
        part = gate_part(cell, gate, setting, symbol=symbol, purpose=purpose)
        assert part.pre is not None
        return replace(part, value=None, shown=part.pre)

    i_pre = Name(before_squash(cell.input_gate))
    f_pre = Name(before_squash(cell.forget_gate))
    log_f: Expression = f_pre
    if cell.forgetting == "sigmoid":
        log_f = function("\\log \\sigma", F.logsigmoid, f_pre)
    kept = Sum((log_f, M_BEFORE))
    is_held = "cell" in setting.held
    scale = M_NEW if is_held else M
    equations = [
        Told(scale.latex, function("\\max", torch.maximum, kept, i_pre)),
        Told("i'_t", function("\\exp", torch.exp, Less(i_pre, scale))),
        Told("f'_t", function("\\exp", torch.exp, Less(kept, scale))),
    ]
    names = {"m_t": "the new stabilizer", "i'_t": "the input gate", "f'_t": "the forget gate"}
    if is_held:
        old = Sum((function("\\log", torch.log, K), M_BEFORE))
        new = Sum((function("\\log", torch.log, Less(ONE, K)), M_NEW))
        equations += [
            Told("m_t", function("\\mathrm{logaddexp}", torch.logaddexp, old, new)),
            Told("\\rho_t", function("\\exp", torch.exp, Less(old, M))),
            Told("\\nu_t", function("\\exp", torch.exp, Less(new, M))),
        ]
        names |= {"\\rho_t": "how much is held", "\\nu_t": "how much is new"}
    stabilizer = StatePart(
        "The stabilizer $m_t$, and the two gates",
        (STABILIZER, HELD) if is_held else (STABILIZER,),
        tuple(equations),
        names,
    )
    memory = StatePart(
        "The cell state $c_t$",
        (MEMORY,),
        _weighed("c", Sum((Product((FORGET, C_BEFORE)), Product((INPUT, G)))), C_BEFORE, is_held),
        {"c_t": "the new cell state"},
    )
    normalizer = StatePart(
        "The normalizer $n_t$",
        (NORMALIZER,),
        _weighed("n", Sum((Product((FORGET, N_BEFORE)), INPUT)), N_BEFORE, is_held),
        {"n_t": "the new normalizer"},
    )
    shown = Over(seen(setting, "c"), seen(setting, "n"))
    parts = (
        told_later(cell.input_gate, "i'_t", INPUT_PURPOSE),
        told_later(cell.forget_gate, "f'_t", FORGET_PURPOSE),
        stabilizer,
        gate_part(cell, cell.candidate, setting),
        memory,
        normalizer,
        gate_part(cell, cell.output_gate, setting),
        output_part(shown, "o_t", setting, whole="s_t"),
    )
    letters = {"cell": "c", "normalizer": "n", "stabilizer": "m"}
    return Telling("an sLSTM", parts, (), (), (shown, "o_t"), letters)


def _weighed(letter: str, right: Expression, before: Name, is_held: bool) -> tuple[Told, ...]:
    """A state, and what zoneout makes of it."""
    if not is_held:
        return (Told(f"{letter}_t", right),)
    whole = Sum((Product((RHO, before)), Product((NU, Name(f"{letter}'_t")))))
    return Told(f"{letter}'_t", right), Told(f"{letter}_t", whole)
