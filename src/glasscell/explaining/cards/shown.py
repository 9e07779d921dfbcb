"""A variant's card: its equations and sizes from its definition, and what is known of it."""

import torch

from glasscell.cells import VARIANTS, Cell, Custom, Weights, name_of, named, spec
from glasscell.engines import Call, Packing, explain
from glasscell.errors import InputError
from glasscell.explaining.cards.sizes import is_square, parameters, sizes
from glasscell.explaining.cards.table import CARDS
from glasscell.explaining.document import Explanation
from glasscell.explaining.kinds import telling
from glasscell.explaining.pieces import (
    Code,
    Equation,
    Heading,
    Items,
    Piece,
    Prose,
    Table,
    literal,
)

MEANINGS = {
    "W": "input weights",
    "U": "recurrent weights",
    "b_x": "bias of $W x_t$",
    "b_h": "bias of $U h_{t-1}$",
    "p": "peepholes, one weight a unit",
    "S": "from gates to gates",
    "a": "gains: $a$ of $W x_t$, $a'$ of $U h_{t-1}$",
    "a_c": "of the cell state: gain $a_c$, shift $b_c$",
}
OWN_PAST = "what each unit reads its own past with: $u$"
CARRIED = (
    "Beside $h_t$ the cell carries {} from step to step; `c_n` holds them one after the other, "
    "${}H$ numbers."
)


def card(cell: Cell | str) -> Explanation:
    """What a cell is: its equations, how large its weights are, which engines run it; and of a
    named variant, what differs from the plain cells, when to take it, and where it comes from.

    Args:
        cell: a variant's name, a line such as "lstm(forget_gate=None)", or a `cells.Cell`.

    Raises:
        InputError: no such variant; the nearest are named.

    Example:
        >>> from glasscell.explaining import card
        >>> print(card("janet").text())
        janet: JANET, an LSTM with a forget gate alone
        ...
    """
    try:
        cell = named(cell)
    except ValueError as error:
        raise InputError(str(error)) from None
    name = name_of(cell)
    told = telling(cell)
    known = None if name is None else CARDS[name]
    pieces: list[Piece] = [] if known is None else [Prose(known.differs)]
    pieces.append(Heading("Equations"))
    pieces += [Equation(latex) for latex in told.definitions]
    pieces.append(Equation(_aligned([equation.latex for equation in told.read])))
    if isinstance(cell, Custom):
        pieces.append(Prose("These are its gates. What follows from them, the function says."))
    if known is None and told.remarks:  # else its card says that
        pieces.append(Prose(" ".join(told.remarks)))
    if cell.C > 1:
        carried = [f"${told.letters[state]}_t$" for state in cell.carried]
        listed = f"{', '.join(carried[:-1])} and {carried[-1]}"
        pieces.append(Prose(CARRIED.format(listed, cell.C)))
    pieces += _sizes(cell)
    if known is not None:
        pieces += [Heading("When to take it"), Prose(known.use)]
    pieces += _code(cell, name)
    pieces += _engines(cell)
    if known is not None and known.reported:
        pieces += [Heading("What is reported of it"), Prose(known.reported)]
    if known is not None and known.sources:
        pieces += [Heading("Source"), Items([literal(source) for source in known.sources])]
        pieces += [Prose(known.place)] * bool(known.place)
    title = f"One cell: {told.called}" if known is None else f"`{name}`: {known.title}"
    return Explanation(title, pieces)


def runs_on(cell: Cell) -> dict[str, str | None]:
    """For each engine, by its name, why it does not run a float32 call on the CPU, or None."""
    size = 4
    shapes = cell.shapes(size, size, size)
    w = Weights(**{letter: torch.zeros(shape) for letter, shape in shapes.items()})
    x, h = torch.zeros(1, size), torch.zeros(1, size)
    c = torch.zeros(1, cell.C * size) if cell.has_cell_state else None
    call = Call(cell, w, x, Packing.dense(1, 1), h, c)
    return explain(call).refusals


def _aligned(equations: list[str]) -> str:
    rows = (equation.replace(" = ", " &= ", 1) for equation in equations)
    return "\\begin{aligned} " + " \\\\ ".join(rows) + " \\end{aligned}"


def _sizes(cell: Cell) -> list[Piece]:
    H = I = 128
    rows = []
    numbers = cell.shapes(I, H, H)
    for size in sizes(cell):
        meaning = MEANINGS[size.letter]
        if size.letter == "p" and any(gate.peephole == "h_own" for gate in cell.gates):
            meaning = OWN_PAST
        gates = ", ".join(f"${letter}$" for letter in size.gates)
        told = f"{meaning}; rows of {gates}" if len(cell.gates) > 1 and size.gates else meaning
        rows.append(
            [f"${size.letter}$", f"`{size.name}_l0`", size.shape, str(numbers[size.letter]), told]
        )
    count = parameters(cell)
    total = f"${count.latex}$ weights; with $H = I = {H}$ they are {count(H, I):,}."
    if is_square(cell):
        total = f"The input is as wide as the hidden state, $I = H$: {total}"
    vectors = {name for part in telling(cell).gates for name, _ in part.vectors}
    if "b_h" in numbers:
        total += " In the equations $b$ is the sum of both biases"
        total += ", but for the candidate's, told apart." if "b'_n" in vectors else "."
    return [
        Heading("Sizes"),
        Table(["", "parameter", "size", f"H = I = {H}", "what it is"], rows, "lllll"),
        Prose(total),
    ]


def _code(cell: Cell, name: str | None) -> list[Piece]:
    line = spec.line_of(cell)
    if line is None:
        return []
    layer = "LSTM" if cell.has_cell_state else "RNN" if cell.kind == "rnn" else "GRU"
    sizes = "128, 128" if is_square(cell) else "64, 128"
    lines = ["import glasscell", ""]
    if name is not None and VARIANTS[name] == cell:
        lines.append(f'layer = glasscell.{layer}({sizes}, cell="{name}")')
    if line != name:
        again = "layer" if name is None else "same"
        lines += [f'line = "{line}"', f"{again} = glasscell.{layer}({sizes}, cell=line)"]
    return [Heading("Code"), Code("\n".join(_broken(lines)))]


def _broken(lines: list[str], width: int = 74) -> list[str]:
    """Long lines that hold a cell's line, as several strings side by side."""
    whole: list[str] = []
    for line in lines:
        if len(line) <= width:
            whole.append(line)
            continue
        begin, text = line.split(' = "', 1)
        parts = text.removesuffix('"').split(", ")
        whole += [f"{begin} = (", *_packed(parts, width - 6), ")"]
    return whole


def _packed(parts: list[str], width: int) -> list[str]:
    rows: list[str] = [""]
    for k, part in enumerate(parts):
        piece = part + (", " if k < len(parts) - 1 else "")
        if len(rows[-1]) + len(piece) > width and rows[-1]:
            rows.append("")
        rows[-1] += piece
    return [f'    "{row}"' for row in rows]


def _engines(cell: Cell) -> list[Piece]:
    rows = [
        [engine, "yes" if refusal is None else f"no: {literal(refusal)}"]
        for engine, refusal in runs_on(cell).items()
    ]
    told = "Which engines run it, on the CPU and in float32; the first that does is taken."
    return [Heading("What runs it"), Table(["engine", "runs it"], rows, "ll", told)]
