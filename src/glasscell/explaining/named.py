"""Every vector of a step under the name that its equation gives it."""

import numpy as np
import torch
from torch import Tensor

from glasscell.cells import LSTM
from glasscell.cells.gates import input_term, recurrent_term
from glasscell.explaining.formulas import activation, before_squash, shown_cell, subscript
from glasscell.explaining.moment import Moment


def named_vectors(moment: Moment) -> dict[str, np.ndarray]:
    """(n,) float64 for each name that `glasscell.explaining.formulas` uses of this step.

    Gates and states are those of the cell's step; the products are made by the same functions
    that its step is made of.
    """
    cell, step, w = moment.cell, moment.step, moment.weights
    named: dict[str, Tensor | None] = {"h_{t-1}": moment.h, "c_{t-1}": moment.c, "x_t": moment.x}
    for k, gate in enumerate(cell.gates):
        named[before_squash(gate)] = step.pre[k]
        named[activation(gate)] = step.gates[k]
        named[f"1 - {activation(gate)}"] = 1 - step.gates[k]
    named |= {"c_t": step.c, "h_t": step.h, "q_t": step.q}
    if isinstance(cell, LSTM) and step.c is not None:
        named[shown_cell(cell)] = cell.output_squash.apply(step.c)
    if (carried := cell.carry(step.gates)) is not None:
        named["\\text{write}"] = carried[1]
    if w is not None and moment.x is not None:
        named |= _products(moment)
        if w.V is not None:  # the same step, without its projection
            c = None if moment.c is None else moment.c[None]
            bare = cell.step(moment.x[None], moment.h[None], c, w._replace(V=None))
            named["m_t"] = bare.h[0]
    return {name: v.detach().double().numpy() for name, v in named.items() if v is not None}


def _products(moment: Moment) -> dict[str, Tensor]:
    """W x, U h and the biases, gate by gate."""
    cell, w, x, G = moment.cell, moment.weights, moment.x, moment.cell.G
    assert w is not None
    assert x is not None
    bare = w._replace(b_x=None, b_h=None)
    from_x, from_h = input_term(x, bare, G), recurrent_term(moment.h, bare, G)  # (G, H)
    found: dict[str, Tensor] = {}
    peeking = [gate.name for gate in cell.gates if gate.peephole]
    for k, gate in enumerate(cell.gates):
        letter = subscript(cell, gate)
        found[f"W{letter} x_t"], found[f"U{letter} h_{{t-1}}"] = from_x[k], from_h[k]
        b_x, b_h = (None if b is None else b.unflatten(0, (G, -1))[k] for b in (w.b_x, w.b_h))
        reads_past_apart = moment.step.q is not None and gate.name == "candidate"
        if reads_past_apart:  # the reset gate multiplies the one bias and not the other
            for name, b in ((f"b{letter}", b_x), (f"b'{letter}", b_h)):
                found[name] = torch.zeros_like(from_x[k]) if b is None else b
        elif b_x is not None or b_h is not None:
            given = [b for b in (b_x, b_h) if b is not None]
            found[f"b{letter}"] = given[0] if len(given) == 1 else given[0] + given[1]
        if gate.peephole and w.p is not None:
            found[f"p{letter}"] = w.p[peeking.index(gate.name)]
    return found
