"""One step written out: what comes in, each gate, the states, and that all of it adds up."""

from collections.abc import Sequence

from glasscell.explaining import words
from glasscell.explaining.accounts import accounts
from glasscell.explaining.choice import chosen
from glasscell.explaining.document import Explanation
from glasscell.explaining.expressions import Applied, Expression
from glasscell.explaining.gate import gate_pieces, numeric, verdict
from glasscell.explaining.incoming import incoming
from glasscell.explaining.moment import Moment
from glasscell.explaining.named import Numbers, numbers_of
from glasscell.explaining.numerals import column, number_latex, shown, size
from glasscell.explaining.pieces import (
    Check,
    Equation,
    Heading,
    Items,
    Matrix,
    Piece,
    Prose,
    Vector,
)
from glasscell.explaining.telling import GatePart, StatePart


def explain_step(moment: Moment, units: Sequence[int] | None = None) -> Explanation:
    """One step of a cell with all its numbers.

    Args:
        moment: the step.
        units: which units are shown; of more than eight, the first and last ones if absent.

    Raises:
        InputError: a unit that is not there.
    """
    units = checked_units(units, moment.H)
    numbers = numbers_of(moment)
    hidden = units if moment.P == moment.H else None
    pieces: list[Piece] = [*incoming(moment, numbers, units)]
    for part in numbers.telling.parts:
        if isinstance(part, GatePart):
            pieces += gate_pieces(numbers, part, units, hidden)
        else:
            pieces += _state_pieces(moment, numbers, part, units)
    pieces.append(Heading("In words"))
    told = [u for u in shown(moment.H, units) if u is not None]
    pieces.append(Items(words.sentences(moment, numbers, told)))
    pieces += accounts(moment, numbers)
    return Explanation(_title(moment, numbers), pieces)


def checked_units(units: Sequence[int] | None, H: int) -> list[int] | None:
    """Unit numbers in order, negative ones counted from the end."""
    return None if units is None else sorted(set(chosen("units", units, H)))


def _title(moment: Moment, numbers: Numbers) -> str:
    kind = words.kind(moment.cell, numbers.telling)
    if moment.t is None:
        return f"One step of {kind}"
    return f"Step {moment.t} of `{moment.name}`, {kind}"


def _state_pieces(
    moment: Moment, numbers: Numbers, part: StatePart, units: list[int] | None
) -> list[Piece]:
    """What a step makes of its gates."""
    named = numbers.named
    pieces: list[Piece] = [Heading(part.title), *map(Prose, part.words)]
    for told in part.equations:
        pieces.append(Equation(told.latex))
        of_h = units if moment.P == moment.H or told.left != "h_t" else None
        try:
            told.right.value(named)
        except KeyError:  # a record has a projection's result alone
            continue
        pieces += [_worked_out(each, numbers, units) for each in _functions(told.right.factors)]
        pieces.append(numeric(told, named, of_h))
        if len(told.right.factors) > 1:
            pieces.append(_same_size(told.right.factors, numbers))
    if "V" in named and any(
        told.latex.startswith(("h_t = V", "h'_t = V")) for told in part.equations
    ):
        reason = f"{moment.P} hidden values out, {moment.H} units in"
        fits = named["V"].shape == (moment.P, moment.H)
        pieces += [
            Matrix("V", named["V"], reason, columns=units),
            Check(f"$V$ is {size(named['V'].shape)}: {reason}: {verdict(fits)}", fits),
        ]
    for name, meaning in part.means.items():
        of_h = units if moment.P == moment.H or name != "h_t" else None
        pieces.append(Vector(name, named[name], of_h, meaning))
    return pieces


def _functions(factors: Sequence[Expression]) -> list[Expression]:
    """Those whose numbers are worth a line of their own: what is multiplied and has no name."""
    return [factor for factor in factors if isinstance(factor, Applied)]


def _worked_out(expression: Expression, numbers: Numbers, units: list[int] | None) -> Equation:
    value = expression.value(numbers.named)
    shows = column(value, units) if value.ndim else number_latex(float(value))
    return Equation(f"{expression.latex} = {shows}")


def _same_size(factors: Sequence[Expression], numbers: Numbers) -> Check:
    sizes = {factor.value(numbers.named).shape for factor in factors} - {()}  # or one number
    names = list(dict.fromkeys(f"${factor.latex}$" for factor in factors))
    told = f"{', '.join(names[:-1])} and {names[-1]}"
    fits = len(sizes) == 1
    each = " and ".join(size(shape) for shape in sorted(sizes))
    return Check(f"{told} are each {each}: multiplied entry by entry: {verdict(fits)}", fits)
