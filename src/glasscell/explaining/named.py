"""Every vector and matrix of a step under the name that its equations give it."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from glasscell.cells import Cell, Weights
from glasscell.explaining.formulas import before_squash, subscript
from glasscell.explaining.kinds import telling
from glasscell.explaining.moment import Moment
from glasscell.explaining.telling import GatePart, Setting, Telling


@dataclass(frozen=True, eq=False)
class Numbers:
    """A step's telling with its numbers.

    Attributes:
        telling: what is told.
        named: (n,) or (rows, columns) float64 for each name; what the cell's own step gave, and
            where it gives none, as of a sum within a sum, what the equation comes to.
        gaps: for each equation whose left side the step gives itself, how far the right side is
            from it at most, relative to numbers above one.
        two_biases: whether b_f is the sum of two.
    """

    telling: Telling
    named: dict[str, np.ndarray]
    gaps: dict[str, float]
    two_biases: bool = True


def numbers_of(moment: Moment) -> Numbers:
    """The numbers of a step, and what is told of it."""
    told = telling(moment.cell, _setting(moment))
    named = _known(moment, told)
    gaps: dict[str, float] = {}
    with np.errstate(all="ignore"):
        for equation in told.equations:
            try:
                value = equation.right.value(named)
            except KeyError:  # a record knows no weights
                continue
            if equation.left in named:
                gaps[equation.left] = largest_gap(value, named[equation.left])
            else:
                named[equation.left] = value
    w = moment.weights
    two = w is None or (w.b_x is not None and w.b_h is not None)
    return Numbers(told, named, gaps, two)


def largest_gap(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, relative to numbers above one; 0 where both are the same NaN or
    infinity.
    """
    with np.errstate(invalid="ignore"):
        gaps = np.abs(a - b) / np.maximum(1.0, np.abs(b))
    return float(np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, gaps).max(initial=0.0))


def _setting(moment: Moment) -> Setting:
    cell, w, noise = moment.cell, moment.weights, moment.noise
    setting = Setting(
        biased=w is None or w.b_x is not None or w.b_h is not None,
        projected=moment.P != moment.H or (w is not None and w.V is not None),
        drawn=frozenset(noise.draws),
        held=frozenset(noise.stays),
        masked=noise.mask is not None,
    )
    if cell.kind != "custom":
        return setting
    if w is None:  # what its function squashes cannot be known
        remade = frozenset(gate.name for gate in cell.gates)
    else:
        plain = telling(cell, setting)
        known = _known(moment, plain)
        remade = frozenset(part.gate.name for part in plain.gates if not _is_its_sum(part, known))
    return replace(setting, remade=remade)


def _is_its_sum(part: GatePart, named: dict[str, np.ndarray]) -> bool:
    assert part.pre is not None
    return largest_gap(part.pre.right.value(named), named[part.pre.left]) < 1e-9


def _known(moment: Moment, told: Telling) -> dict[str, np.ndarray]:
    """What came in, the weights, and what the step gave."""
    cell, step = moment.cell, moment.step
    known: dict[str, Tensor | float | None] = {
        "x_t": moment.x,
        "h_{t-1}": moment.h,
        "h_t": step.h,
        "q_t": step.q,
        "\\beta": getattr(cell, "beta", None),
    }
    for time, carried in (("{t-1}", moment.c), ("t", step.c)):
        parts = () if carried is None else carried.chunk(cell.C)
        for name, part in zip(cell.carried, parts, strict=False):
            known[f"{told.letters[name]}_{time}"] = part
    if moment.c is not None and cell.C == 4:
        known["s_{t-1}"] = moment.c[moment.H :]
    places = {gate.name: k for k, gate in enumerate(cell.gates)}
    for part in told.gates:
        k = places[part.gate.name]
        known[before_squash(part.gate)], known[part.symbol] = step.pre[k], step.gates[k]
    if (carried := cell.carry(step.gates)) is not None:
        known["\\text{write}"] = carried[1]
    noise = moment.noise
    known |= {f"u_{part.gate.letter}": noise.draws.get(part.gate.name) for part in told.gates}
    known |= {f"k_{state[0]}": stays for state, stays in noise.stays.items()}
    known["\\mu"] = noise.mask
    if moment.weights is not None:
        known |= _weights(cell, told, moment.weights, moment.H)
    return {name: _array(v) for name, v in known.items() if v is not None}


def _weights(cell: Cell, told: Telling, w: Weights, H: int) -> dict[str, Tensor | float | None]:
    """Each gate's own rows, by name."""
    found: dict[str, Tensor | float | None] = {"V": w.V}
    for part in told.gates:
        gate = part.gate
        k = subscript(cell, gate)
        vectors = dict(part.vectors)
        for matrix in ("W", "U"):
            found[f"{matrix}{k}"] = cell.rows(gate, matrix, w)
        b_x, b_h = cell.rows(gate, "b_x", w), cell.rows(gate, "b_h", w)
        zeros = w.W.new_zeros(H)
        b_x, b_h = (zeros if b is None else b for b in (b_x, b_h))
        if f"b'{k}" in vectors:  # a gate multiplies the one bias and not the other
            found[f"b{k}"], found[f"b'{k}"] = b_x, b_h
        else:
            found[f"b{k}"] = b_x + b_h
        if gate.peephole and w.p is not None:
            name = "u" if gate.peephole == "h_own" else f"p{k}"
            found[name] = w.p[cell.peepholes.index(gate.name)]
        place = [each.name for each in cell.gates].index(gate.name)
        if w.a is not None:
            found[f"a{k}"], found[f"a'{k}"] = w.a.unflatten(1, (cell.G, H))[:, place]
    if w.S is not None:
        found |= {f"S_{letter}": block for letter, block in zip("ifo", w.S.split(H), strict=True)}
    if w.a_c is not None:
        found["a_c"], found["b_c"] = w.a_c
    return found


def _array(values: Tensor | float) -> np.ndarray:
    return torch.as_tensor(values, dtype=torch.float64).detach().numpy()
