"""One step of a cell written out, what such an explanation is made of, and cards of variants."""

from glasscell.explaining.cards import CARDS, card, listed
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
    "CARDS",
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
    "card",
    "explain",
    "joined",
    "listed",
    "literal",
    "number",
    "percent",
]
