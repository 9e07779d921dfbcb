"""An explanation as plain text for a terminal."""

import textwrap

import numpy as np

from glasscell.errors import InputError
from glasscell.explaining import inline, maths_text, numerals
from glasscell.explaining.document import Explanation
from glasscell.explaining.maths_text import columns
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

NARROWEST = 40
INDENT = "    "
_HARD = "\u00a0"  # a space at which no line is broken, as within a formula


def write(explanation: Explanation, width: int) -> str:
    """The whole text, its last line ended."""
    if width < NARROWEST:
        raise InputError(f"width: expected at least {NARROWEST} columns, got {width}")
    title = plain(explanation.title)
    blocks = [[title, "═" * columns(title)]]
    previous: Piece | None = None
    for piece in explanation.pieces:
        lines = _lines(piece, width)
        if isinstance(piece, Check) and isinstance(previous, Check):
            blocks[-1] += lines
        else:
            blocks.append(lines)
        previous = piece
    text = "\n\n".join("\n".join(line.rstrip() for line in block) for block in blocks)
    return text.replace(_HARD, " ") + "\n"


def _lines(piece: Piece, width: int) -> list[str]:
    match piece:
        case Heading(text, level):
            told = plain(text)
            return [told, ("─" if level == 2 else "┄") * columns(told)]
        case Prose(text):
            return _wrapped(text, width)
        case Items(items, counted):
            lines = []
            for k, item in enumerate(items, start=1):
                mark = f"{k}. " if counted else "• "
                lines += _wrapped(item, width, mark, " " * len(mark))
            return lines
        case Equation(latex, remark):
            below = _wrapped(remark, width, INDENT, INDENT) if remark else []
            return [*_displayed(latex, width), *below]
        case Vector(name, values, chosen, meaning):
            body = numerals.row(values, chosen)
            return [*_displayed(f"{name} = {body}", width), *_told(values, meaning, width)]
        case Matrix(name, values, reason, rows, across):
            body = numerals.matrix(values, rows, across)
            return [*_displayed(f"{name} = {body}", width), *_told(values, reason, width)]
        case Check(text, holds):
            return _wrapped(text, width, "✓ " if holds else "✗ ", "  ")
        case Table():
            return _table(piece, width)
        case Code(text):
            return [INDENT + line for line in text.splitlines()]
        case Figure(caption=caption, alt=alt):
            return _wrapped(f"[figure: {caption}]", width) + _wrapped(literal(alt), width)


def _told(values: np.ndarray, reason: str, width: int) -> list[str]:
    size = numerals.size(values.shape)
    return _wrapped(f"{size}: {reason}" if reason else size, width, INDENT, INDENT)


def _displayed(latex: str, width: int) -> list[str]:
    return [INDENT + line for line in maths_text.lines(latex, width - len(INDENT))]


def plain(text: str) -> str:
    """Prose without its marks."""
    parts = []
    for span in inline.read(text):
        if span.kind == "maths":
            parts.append(maths_text.line(span.text).replace(" ", _HARD))
        elif span.kind == "strong":
            parts.append(plain(span.text))
        else:
            parts.append(span.text)
    return "".join(parts)


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    # broken at plain spaces only, so that a formula stays whole
    lines, line, empty = [], first, True
    for word in plain(text).replace("\n", " ").split(" "):
        if not word:
            continue
        joined = f"{line}{word}" if empty else f"{line} {word}"
        if columns(joined) > width and not empty:
            lines.append(line)
            joined = f"{rest}{word}"
        line, empty = joined, False
    return [*lines, line]


def _table(table: Table, width: int) -> list[str]:
    rows = [[plain(text) for text in row] for row in (table.head, *table.rows)]
    widths = [max(columns(row[k]) for row in rows) for k in range(len(table.head))]
    room = width - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 12:  # the widest column gives way
        widths[widths.index(max(widths))] -= 1
    lines: list[str] = []
    for k, row in enumerate(rows):
        cells = [_cell(text, w) for text, w in zip(row, widths, strict=True)]
        for part in range(max(map(len, cells))):
            pieces = (
                _aligned(cell[part] if part < len(cell) else "", w, side)
                for cell, w, side in zip(cells, widths, table.align, strict=True)
            )
            lines.append("  ".join(pieces))
        if k == 0:
            lines.append("  ".join("─" * w for w in widths))
    below = ["", *_wrapped(table.caption, width)] if table.caption else []
    return lines + below


def _cell(text: str, width: int) -> list[str]:
    if columns(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=True, break_on_hyphens=False) or [""]


def _aligned(text: str, width: int, side: str) -> str:
    missing = " " * (width - columns(text))
    return missing + text if side == "r" else text + missing
