"""The first part of an explained step: what comes in, and what is special about its cell."""

import numpy as np

from glasscell.explaining.moment import Moment
from glasscell.explaining.named import Numbers, largest_gap
from glasscell.explaining.numerals import column, number, shown
from glasscell.explaining.pieces import Check, Equation, Heading, Piece, Prose, Vector
from glasscell.explaining.telling import GatePart

SAME = 1e-9
NO_WEIGHTS = (
    "A record holds what went into each squash and what came out, and no weights: the products "
    "that led there are shown by `glasscell.explain(layer, x)`."
)
MASK = (
    "Dropout of the recurrence: products read $\\mu \\odot h_{t-1}$, with one mask $\\mu$ for all "
    "steps of the sequence."
)
DROPPED = (
    "Weight dropout: in this run some recurrent weights are 0, and the others larger in turn. $U$ "
    "is shown as it was used."
)
ZONEOUT = (
    "Zoneout: where $k$ is 1, the state stays as it was at this step. Outside training $k$ is the "
    "rate at which it does."
)
ZONEOUT_OF_CELL = " What is held is held for the next step: $h_t$ shows the cell state before that."


def incoming(moment: Moment, numbers: Numbers, units: list[int] | None) -> list[Piece]:
    """What a step is given."""
    named, telling = numbers.named, numbers.telling
    of_h = units if moment.P == moment.H else None
    pieces: list[Piece] = []
    if telling.remarks:
        pieces += [Heading("What is special about this cell"), Prose(" ".join(telling.remarks))]
    pieces += map(Equation, telling.definitions)
    pieces.append(Heading("What comes in"))
    if len(shown(moment.H, units)) < moment.H or units is not None:
        told = ", ".join(str(u) for u in shown(moment.H, units) if u is not None)
        pieces.append(
            Prose(
                f"The layer has {moment.H} units; the numbers of units {told} are shown, and all "
                "sums are over all of them."
            )
        )
    if moment.x is not None:
        meaning = f"the input{f', {moment.inputs}' if moment.inputs else ''}"
        pieces.append(Vector("x_t", named["x_t"], meaning=meaning))
    shown_before = f"the hidden state {moment.before}: what it showed"
    pieces.append(Vector("h_{t-1}", named["h_{t-1}"], of_h, shown_before))
    for state, letter in telling.letters.items():
        name = f"{letter}_{{t-1}}"
        pieces.append(Vector(name, named[name], units, _carried(state, moment.before)))
    pieces += _chance(moment, named, units, of_h)
    if moment.weights is None:
        return [*pieces, Prose(NO_WEIGHTS)]
    return pieces + _one_product_or_two(moment, numbers, of_h, units)


def _carried(state: str, before: str) -> str:
    if state == "cell":
        return f"the cell state {before}: what it held"
    return f"the {state.removeprefix('previous_').replace('_', ' ')} {before}"


def _chance(
    moment: Moment, named: dict, units: list[int] | None, of_h: list[int] | None
) -> list[Piece]:
    """What chance has to do with this step, beside the gates."""
    pieces: list[Piece] = []
    if moment.dropped:
        pieces.append(Prose(DROPPED))
    if "\\mu" in named:
        pieces += [Prose(MASK), Vector("\\mu", named["\\mu"], of_h, "what is left of each unit")]
    stays = {state: named[f"k_{state[0]}"] for state in moment.noise.stays}
    if stays:
        pieces.append(Prose(ZONEOUT + ZONEOUT_OF_CELL * moment.cell.has_cell_state))
    for state, k in stays.items():
        name, shows = f"k_{state[0]}", of_h if state == "hidden" else units
        if k.ndim:
            pieces.append(Vector(name, k, shows, f"1 where the {state} state stays"))
        else:
            pieces.append(Equation(f"{name} = {number(float(k))}", f"of the {state} state"))
    return pieces


def _one_product_or_two(
    moment: Moment, numbers: Numbers, of_h: list[int] | None, units: list[int] | None
) -> list[Piece]:
    """[U W] [h; x] against U h + W x, where each gate has both, added as they are."""
    w, named = moment.weights, numbers.named
    assert w is not None
    gates = numbers.telling.gates
    if w.U.shape[0] != w.W.shape[0] or not all(map(_adds_both, gates)) or "\\mu" in named:
        return []
    both = np.concatenate((named["h_{t-1}"], named["x_t"]))
    stacked = np.concatenate((w.U.numpy(), w.W.numpy()), axis=1) @ both  # (G*H,)
    pairs = [(part.weights[1].name, part.weights[0].name) for part in gates]
    apart = [named[U] @ named["h_{t-1}"] + named[W] @ named["x_t"] for U, W in pairs]
    gap = largest_gap(stacked, np.concatenate(apart))
    (U, W), first = pairs[0], stacked[: moment.H]
    P, I = moment.P, len(named["x_t"])
    keep = None if of_h is None else [*of_h, *(P + i for i in range(min(I, 3)))]
    U_h, W_x = named[U] @ named["h_{t-1}"], named[W] @ named["x_t"]
    return [
        Heading("One product or two", 3),
        Prose(
            "Many texts put the hidden state and the input into one long vector, "
            "$[h_{t-1}, x_t]$, and multiply it by one wide matrix. Here are two matrices, $U$ for "
            "the hidden state and $W$ for the input, and two products. It is the same: the wide "
            "matrix is $U$ and $W$ side by side."
        ),
        Vector("[h_{t-1}, x_t]", both, keep, f"{P} hidden values, then {I} inputs"),
        Equation(
            f"[{U} \\; {W}] \\, [h_{{t-1}}, x_t] = {column(first, units)}",
            "one product",
        ),
        Equation(
            f"{U} h_{{t-1}} + {W} x_t = {column(U_h, units)} + {column(W_x, units)} "
            f"= {column(U_h + W_x, units)}",
            "two products",
        ),
        Check(
            f"one product and two give the same for all {len(stacked)} rows of all gates: "
            f"the largest difference is {number(gap)}",
            gap <= SAME,
        ),
    ]


def _adds_both(part: GatePart) -> bool:
    """Whether its matrices multiply x_t and h_{t-1} themselves, and nothing comes between."""
    read = [weight.times.latex for weight in part.weights[:2]]
    return read == ["x_t", "h_{t-1}"] and not any(name[0] == "a" for name, _ in part.vectors)
