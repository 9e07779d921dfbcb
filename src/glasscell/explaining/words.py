"""What a step did, unit by unit, in plain sentences."""

import torch

from glasscell.cells import Cell, name_of
from glasscell.explaining.moment import Moment
from glasscell.explaining.named import Numbers
from glasscell.explaining.numerals import number, percent
from glasscell.explaining.telling import GatePart, Telling

PLAIN = ("lstm", "gru", "rnn", "custom")  # whose kind says it all


def kind(cell: Cell, telling: Telling) -> str:
    """ "an LSTM"; of a variant with a name of its own "an LSTM (`janet`)"."""
    name = name_of(cell)
    return telling.called if name in (None, *PLAIN) else f"{telling.called} (`{name}`)"


def gate_title(part: GatePart) -> str:
    """ "Forget gate $f_t$"."""
    return f"{part.gate.name.replace('_', ' ').capitalize()} ${part.symbol}$"


def purpose(part: GatePart) -> str:
    """What a gate is for, in a sentence."""
    low, high = part.gate.squash.range
    return part.purpose or f"Its values lie between {number(low)} and {number(high)}."


def sentences(moment: Moment, numbers: Numbers, units: list[int]) -> list[str]:
    """For each of these units: what it kept, what it added, what it shows."""
    return [_sentence(moment, numbers, u) for u in units]


def _sentence(moment: Moment, numbers: Numbers, u: int) -> str:
    cell, named = moment.cell, numbers.named
    carried = cell.carry(moment.step.gates)
    if carried is None:
        return _written_anew(moment, numbers, u)
    keep, write = (float(v[u]) for v in carried)
    state = "c" if cell.has_cell_state else "h"
    before, after = named[f"{state}_{{t-1}}"][u], named[f"{state}_t"][u]
    added = f"added {number(write)}" if write >= 0 else f"took away {number(-write)}"
    mine = "its memory" if cell.has_cell_state else "its hidden state"
    kept = f"which was {number(before)}"
    if before != 0:
        kept = f"{number(before)} became {number(keep * before)}"
    text = f"**Unit {u}** kept {percent(keep)} of {mine} ({kept}) and {added}"
    text += f"{_why_written(moment, u)}"
    text += f"{_held(moment, numbers, state, u)}: ${state}_t$ is {number(after)}."
    return text + _shown(moment, numbers, u)


def _written_anew(moment: Moment, numbers: Numbers, u: int) -> str:
    cell, named = moment.cell, numbers.named
    if cell.G > 1 or cell.gates[0].name != "hidden":
        told = [f"its {part.gate.name.replace('_', ' ')} is {number(float(named[part.symbol][u]))}"
                for part in numbers.telling.gates]  # fmt: skip
        states = [f"${s}_t$ {number(float(named[f'{s}_t'][u]))}"
                  for s in (*numbers.telling.letters.values(), "h")]  # fmt: skip
        return f"**Unit {u}**: {', '.join(told)}; {', '.join(states)}."
    pre, squash = number(float(moment.step.pre[0, u])), cell.gates[0].squash.name
    told = f"**Unit {u}** was written anew: {pre} went into the {squash.replace('_', ' ')}"
    return (
        f"{told}{_held(moment, numbers, 'h', u)}, and its hidden state is "
        f"{number(float(moment.step.h[u]))}."
    )


def _held(moment: Moment, numbers: Numbers, state: str, u: int) -> str:
    """What zoneout did to the unit's state."""
    k = numbers.named.get(f"k_{state}")
    if k is None or f"{state}'_t" not in numbers.named:
        return ""
    new = number(float(numbers.named[f"{state}'_t"][u]))
    if k.ndim == 0:
        return f", which gives {new}; of that zoneout takes {percent(1 - float(k))}, on average"
    if k[u]:
        scale = (
            ", told relative to the new $m_t$"
            if state == "c" and "\\rho_t" in numbers.named
            else ""
        )
        return f", which would give {new}, but zoneout held it as it was{scale}"
    return ""


def _shown(moment: Moment, numbers: Numbers, u: int) -> str:
    """How much of its memory the unit shows."""
    if numbers.telling.shows is None:
        return ""
    what, gate = numbers.telling.shows
    named = numbers.named
    try:
        seen = float(what.value(named)[u])
    except KeyError:  # it takes weights, which a record does not know
        return ""
    share = 1.0 if gate is None else float(named[gate][u])
    projected = moment.P != moment.H or (
        moment.weights is not None and moment.weights.V is not None
    )
    where = "before the projection" if projected else "its hidden state"
    if gate is None and what.latex in ("c_t", "c'_t"):
        return f" It shows all of it, {where}."
    how = "all" if gate is None else percent(share)
    text = f" It showed {how} of ${what.latex}$ = {number(seen)}"
    text += f": {number(share * seen)}, {where}" if gate is not None else f", {where}"
    return text + (f"{_held(moment, numbers, 'h', u)}." if not projected else ".")


def _why_written(moment: Moment, u: int) -> str:
    """Where the write comes from: a share of the candidate."""
    cell, gates = moment.cell, moment.step.gates
    names = [gate.name for gate in cell.gates]
    if "candidate" not in names:
        return ""
    k = names.index("candidate")
    whole = gates.clone()
    whole[k] = torch.ones_like(whole[k])  # so that what is written is the share itself
    carried = cell.carry(whole)
    assert carried is not None
    share = percent(float(carried[1][u]))
    return f" ({share} of the candidate, {number(float(gates[k, u]))})"
