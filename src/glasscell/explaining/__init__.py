"""One step of a cell written out, and what such an explanation is made of."""

from glasscell.explaining.document import Explanation, joined
from glasscell.explaining.entry import explain
from glasscell.explaining.numerals import number, percent
from glasscell.explaining.pieces import (
    Check,
    Code,
    Equation,
    Figure,
    Heading,
    Items,
    Matrix,
    Piece,
    Prose,
    Table,
    Vector,
    literal,
)

__all__ = [
    "Check",
    "Code",
    "Equation",
    "Explanation",
    "Figure",
    "Heading",
    "Items",
    "Matrix",
    "Piece",
    "Prose",
    "Table",
    "Vector",
    "explain",
    "joined",
    "literal",
    "number",
    "percent",
]
