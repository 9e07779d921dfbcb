"""An explanation as Markdown with LaTeX maths, as GitHub and Jupyter show it."""

import re
from collections.abc import Iterator, Sequence

from glasscell.explaining import inline, numerals
from glasscell.explaining.document import Explanation
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
)


def write(explanation: Explanation, images: Sequence[str] = ()) -> str:
    """The whole text, its last line ended."""
    pictures = iter(images)
    blocks = [f"# {_spans(explanation.title)}"]
    previous: Piece | None = None
    for piece in explanation.pieces:
        block = _block(piece, pictures)
        joins = isinstance(piece, Check) and isinstance(previous, Check)
        if joins:
            blocks[-1] += f"\n{block}"
        else:
            blocks.append(block)
        previous = piece
    return "\n\n".join(blocks) + "\n"


def _block(piece: Piece, pictures: Iterator[str]) -> str:
    match piece:
        case Heading(text, level):
            return f"{'#' * level} {_spans(text)}"
        case Prose(text):
            return _spans(text)
        case Items(items, counted):
            marks = (f"{k}." if counted else "-" for k in range(1, len(items) + 1))
            lines = (f"{mark} {_spans(item)}" for mark, item in zip(marks, items, strict=True))
            return "\n".join(lines)
        case Equation(latex, remark):
            return _displayed(latex) + (f"\n\n{_spans(remark)}" if remark else "")
        case Vector(name, values, chosen, meaning):
            told = f"`{numerals.size(values.shape)}`" + (f": {_spans(meaning)}" if meaning else "")
            return f"{_displayed(f'{name} = {numerals.row(values, chosen)}')}\n\n{told}"
        case Matrix(name, values, reason, rows, columns):
            told = f"`{numerals.size(values.shape)}`" + (f": {_spans(reason)}" if reason else "")
            body = numerals.matrix(values, rows, columns)
            return f"{_displayed(f'{name} = {body}')}\n\n{told}"
        case Check(text, holds):
            return f"- {'✓' if holds else '✗'} {_spans(text)}"
        case Table(head, rows, align, caption):
            marks = ("---:" if side == "r" else ":---" for side in align)
            lines = [_line(map(_cell, head)), _line(marks)]
            lines += [_line(map(_cell, row)) for row in rows]
            return "\n".join(lines) + (f"\n\n{_spans(caption)}" if caption else "")
        case Code(text, language):
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
            return f"{fence}{language}\n{text}\n{fence}"
        case Figure(caption=caption, alt=alt):
            told = f"*Figure: {_spans(caption)}*"
            picture = next(pictures, None)
            if picture is None:
                return f"{told}\n\n{_escaped(alt)}"
            return f"![{_escaped(alt)}](<{picture}>)\n\n{told}"


def _displayed(latex: str) -> str:
    return f"$$\n{latex}\n$$"


def _spans(text: str) -> str:
    parts = []
    for span in inline.read(" ".join(text.split("\n"))):
        if span.kind == "maths":
            parts.append(f"${span.text}$")
        elif span.kind == "strong":
            parts.append(f"**{_spans(span.text)}**")
        elif span.kind == "code":
            parts.append(f"`{span.text}`")
        else:
            parts.append(_escaped(span.text))
    return "".join(parts)


def _escaped(text: str) -> str:
    """Plain text that Markdown takes for nothing else."""
    escaped = re.sub(r"([\\`*_\[\]<>|$&~])", r"\\\1", text)
    return re.sub(r"^(\s*)([#+>-]|\d+[.)])(?=\s)", r"\1\\\2", escaped)


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", _spans(text))


def _line(cells: Iterator[str]) -> str:
    return f"| {' | '.join(cells)} |"
