"""How an sLSTM's step is told (`glasscell.cells.slstm`)."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from glasscell.cells import SLSTM, GateMap
from glasscell.explaining.expressions import Expression, Less, Name, Over, Product, Sum
from glasscell.explaining.formulas import before_squash, function, gate_part, held, seen
from glasscell.explaining.kinds.lstm import C_BEFORE, MEMORY, G, memory_part, output_part
from glasscell.explaining.telling import GatePart, Setting, StatePart, Telling, Told

INPUT, FORGET = Name("i'_t"), Name("f'_t")
M, M_BEFORE, N_BEFORE = (Name(v) for v in ("m_t", "m_{t-1}", "n_{t-1}"))
RHO = Name("\\rho_t")
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
    "What zoneout holds, it holds as it was, in the old scale: $\\rho_t$ brings it into the new "
    "one. So the old scale is among those of which $m_t$ is the largest."
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
    largest = function("\\max", torch.maximum, kept, i_pre)
    if is_held:
        largest = function("\\max", _largest, kept, i_pre, M_BEFORE)
    stabilizer = StatePart(
        "The stabilizer $m_t$, and the two gates",
        (STABILIZER, HELD) if is_held else (STABILIZER,),
        (
            Told("m_t", largest),
            Told("i'_t", function("\\exp", torch.exp, Less(i_pre, M))),
            Told("f'_t", function("\\exp", torch.exp, Less(kept, M))),
            *(
                [Told("\\rho_t", function("\\exp", torch.exp, Less(M_BEFORE, M)))]
                if is_held
                else []
            ),
        ),
        {"m_t": "the new stabilizer", "i'_t": "the input gate", "f'_t": "the forget gate"}
        | ({"\\rho_t": "one of the old state, in the new scale"} if is_held else {}),
    )
    written = Sum((Product((FORGET, C_BEFORE)), Product((INPUT, G))))
    memory = memory_part(setting, (), written, (MEMORY,), Product((RHO, C_BEFORE)))
    written = Sum((Product((FORGET, N_BEFORE)), INPUT))
    normalizer = StatePart(
        "The normalizer $n_t$",
        (NORMALIZER,),
        held(setting, "cell", "n_t", written, Product((RHO, N_BEFORE))),
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


def _largest(*exponents: torch.Tensor) -> torch.Tensor:
    return torch.stack(exponents).amax(0)
