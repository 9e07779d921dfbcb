"""How the step of a layer-normalised LSTM or GRU is told (`glasscell.cells`)."""

from typing import Any

import numpy as np
import torch

from glasscell.cells import GateMap, NormalisedGRU, NormalisedLSTM
from glasscell.cells.normalisation import normalised
from glasscell.explaining.expressions import (
    Expression,
    Less,
    Name,
    NormalisedProduct,
    Product,
    Sum,
)
from glasscell.explaining.formulas import (
    ONE,
    H,
    X,
    defined,
    function,
    masked,
    seen,
    squashed,
    summed,
    told_gate,
)
from glasscell.explaining.kinds.gru import Q, R, Z, hidden_part
from glasscell.explaining.kinds.lstm import C_BEFORE, MEMORY, F, G, I, memory_part, output_part
from glasscell.explaining.telling import GatePart, Setting, Telling, Told, Weight

NORM = "\\mathrm{norm}(v) = \\frac{v - \\mathrm{mean}(v)}{\\sqrt{\\mathrm{variance}(v) + 10^{-5}}}"
TOGETHER = (
    "$W x_t$ and $U h_{t-1}$ are each normalised over the numbers of all four gates together; "
    "$a$ and $a'$ are gains, one number for each gate and unit."
)
TOGETHER_GRU = (
    "The products of the reset and update gates are normalised together, those of the candidate "
    "by themselves; $a$ and $a'$ are gains, one number for each gate and unit."
)
CELL = "The cell state is normalised on its way out, over all units; the memory itself is not."
SHOWN = "\\hat{c}_t"


def tell_normalised_lstm(cell: NormalisedLSTM, setting: Setting) -> Telling:
    """The telling of a layer-normalised LSTM."""

    def told(gate: GateMap) -> GatePart:
        from_x, from_h = _terms(cell.gates, gate, setting, "")
        bias = [Name(f"b_{gate.letter}")] * setting.biased
        return _told(gate, setting, summed((from_x, from_h, *bias)), ())

    norm = function("\\mathrm{norm}", normalised, seen(setting, "c"))
    told_seen = Told(SHOWN, Sum((Product((Name("a_c"), norm)), Name("b_c"))))
    shown = squashed(cell.output_squash, Name(SHOWN))
    stays, comes = Product((F, C_BEFORE)), Product((I, G))
    parts = (
        *(told(gate) for gate in cell.gates[:3]),
        memory_part(setting, (), Sum((stays, comes)), (MEMORY,)),
        told(cell.output_gate),
        output_part(shown, "o_t", setting, (told_seen,)),
    )
    squashes = [*(gate.squash for gate in cell.gates), cell.output_squash]
    return Telling(
        cell.noun,
        parts,
        (TOGETHER, CELL),
        (NORM, *defined(squashes)),
        (shown, "o_t"),
        {"cell": "c"},
    )


def tell_normalised_gru(cell: NormalisedGRU, setting: Setting) -> Telling:
    """The telling of a layer-normalised GRU."""
    together = (cell.reset_gate, cell.update_gate)

    def told(gate: GateMap) -> GatePart:
        from_x, from_h = _terms(together, gate, setting, "_{rz}")
        bias = [Name(f"b_{gate.letter}")] * setting.biased
        return _told(gate, setting, summed((from_x, from_h, *bias)), ())

    n = cell.candidate
    from_x, from_h = _terms((n,), n, setting, "_n")
    past = Told("q_t", summed((from_h, *[Name("b'_n")] * setting.biased)))
    now = summed((from_x, *[Name("b_n")] * setting.biased, Product((R, Q))))
    parts = (
        *map(told, together),
        _told(n, setting, now, (past,)),
        hidden_part(setting, keep=Z, write=Less(ONE, Z)),
    )
    squashes = [gate.squash for gate in cell.gates]
    return Telling(
        cell.noun, parts, (TOGETHER_GRU,), (NORM, *defined(squashes))
    )  # fmt: skip


def _terms(
    together: tuple[GateMap, ...], gate: GateMap, setting: Setting, whole: str
) -> tuple[Expression, Expression]:
    """A gate's share of the two products that are normalised with those of other gates."""
    k, letter = together.index(gate), gate.letter
    index = "" if len(together) == 1 else f"_{letter}"

    def term(matrix: str, gain: str, vector: Expression) -> Expression:
        names = tuple(f"{matrix}_{each.letter}" for each in together)
        product = NormalisedProduct(names, k, vector, f"{matrix}{whole}", index, _norm)
        return Product((Name(f"{gain}_{letter}"), product))

    return term("W", "a", X), term("U", "a'", masked(setting, H))


def _told(gate: GateMap, setting: Setting, total: Expression, before: tuple[Told, ...]) -> GatePart:
    k: Any = gate.letter
    biases = [(f"b_{k}", "a bias")] + [(f"b'_{k}", "a bias")] * bool(before)
    return told_gate(
        gate,
        setting,
        total,
        before=before,
        weights=(
            Weight(f"W_{k}", X, "inputs"),
            Weight(f"U_{k}", masked(setting, H), "hidden values"),
        ),
        vectors=(
            (f"a_{k}", "a gain of $W x_t$"),
            (f"a'_{k}", "a gain of $U h_{t-1}$"),
            *(biases if setting.biased else ()),
        ),
    )


def _norm(v: np.ndarray) -> np.ndarray:
    return normalised(torch.from_numpy(v)).numpy()
