"""Maths for a terminal: boxes of characters, laid side by side on one line of writing.

A matrix takes as many lines as it has rows; an index stays on the line: f_t, h_{t-1} as h_(t-1).
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from glasscell.explaining import maths
from glasscell.explaining.maths import BINARY, RELATIONS

_HIGH = str.maketrans("0123456789+-−=()nTt′", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿᵀᵗ′")
_HIGH_SET = set("0123456789+-−=()nTt′")
_CONTINUED = "  "  # before what goes on on another line
_OPENING, _CLOSING = set("([{"), set(")]}")
_BRACKETS = {
    "[": "⎡⎢⎣",
    "]": "⎤⎥⎦",
    "(": "⎛⎜⎝",
    ")": "⎞⎟⎠",
    "|": "│││",
    "{": "⎧⎨⎩",
    "": ("", "", ""),
}


@dataclass(frozen=True)
class Box:
    """Lines of equal width, and which of them is the line of writing."""

    lines: tuple[str, ...]
    level: int = 0

    @property
    def width(self) -> int:
        return columns(self.lines[0])

    @property
    def height(self) -> int:
        return len(self.lines)


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: an accent stands above a letter."""
    return sum(not unicodedata.combining(character) for character in text)


def line(latex: str) -> str:
    """A formula on one line, for use within a sentence."""
    return "".join(beside([_box(node, flat=True) for node in _spaced(maths.read(latex))]).lines)


def lines(latex: str, width: int) -> list[str]:
    """A displayed formula: broken before its relations where it is wider than `width`, and before
    a plus where a part of it still is.
    """
    whole = maths.read(latex)
    if len(whole.items) == 1 and isinstance(whole.items[0], maths.Grid):
        grid = whole.items[0]
        if grid.kind == "aligned" and _grid(grid).width > width:  # each row by itself
            rows = (maths.Row(tuple(cells)) for cells in grid.rows)
            return [text for row in rows for text in _lines(row, width)]
    return _lines(whole, width)


def _lines(row: maths.Row, width: int) -> list[str]:
    flat = [
        each
        for item in row.items
        for each in (item.items if isinstance(item, maths.Row) else [item])
    ]
    nodes = _spaced(maths.Row(tuple(flat)))
    rows: list[Box] = []
    for part in _parts(nodes, RELATIONS):
        pieces = [part]
        if _laid(part).width > width - len(_CONTINUED):
            pieces = _parts(part, {"+"})
        for k, piece in enumerate(pieces):
            box = _laid(piece)
            if rows and k == 0 and len(pieces) > 1:
                rows.append(beside([Box((_CONTINUED,)), box]))
            elif rows and rows[-1].width + box.width <= width:
                rows[-1] = beside([rows[-1], box])
            else:
                rows.append(beside([Box((_CONTINUED,)), box]) if rows else box)
    gap = [""] if max(row.height for row in rows) > 1 else []
    apart = [text for row in rows for text in (*gap, *row.lines)]
    return [text.rstrip() for text in apart[len(gap) :]]


def _parts(nodes: Sequence[maths.Node], signs: set[str]) -> list[list[maths.Node]]:
    """A formula cut before each of these signs."""
    parts: list[list[maths.Node]] = [[]]
    for node in nodes:
        if _is_operator(node, signs) and any(not isinstance(n, maths.Space) for n in parts[-1]):
            parts.append([])
            if isinstance(parts[-2][-1], maths.Space):
                parts[-1].append(parts[-2].pop())
        parts[-1].append(node)
    return parts


def _laid(nodes: Sequence[maths.Node]) -> Box:
    return beside([_box(node, flat=False) for node in nodes])


def beside(boxes: Sequence[Box]) -> Box:
    """Boxes side by side, their lines of writing on one line."""
    boxes = [box for box in boxes if box.width] or [Box(("",))]
    above = max(box.level for box in boxes)
    below = max(box.height - box.level for box in boxes)
    rows = [""] * (above + below)
    for box in boxes:
        top = above - box.level
        for k in range(above + below):
            inside = 0 <= k - top < box.height
            rows[k] += box.lines[k - top] if inside else " " * box.width
    return Box(tuple(rows), above)


def _spaced(row: maths.Row) -> list[maths.Node]:
    """The things of a row with room around relations and signs between two things."""
    out: list[maths.Node] = []
    before: maths.Node | None = None
    for k, node in enumerate(row.items):
        after = row.items[k + 1] if k + 1 < len(row.items) else None
        if isinstance(node, maths.Operator) and node.text in RELATIONS | BINARY:
            is_sign = (
                node.text in BINARY
                and (before is None or _is_operator(before, RELATIONS | BINARY | _OPENING | {","}))
            ) or after is None
            out += [node] if is_sign else [maths.Space(" "), node, maths.Space(" ")]
        elif isinstance(node, maths.Operator) and node.text in (",", ";"):
            out += [node, maths.Space(" ")] if after is not None else [node]
        elif before is not None and _needs_room(before, node):
            out += [maths.Space(" "), node]
        else:
            out.append(node)
        before = node
    return out


def _is_operator(node: maths.Node, signs: set[str]) -> bool:
    return isinstance(node, maths.Operator) and node.text in signs


def _needs_room(before: maths.Node, node: maths.Node) -> bool:
    """W x and not Wx: two names side by side are a product."""
    if isinstance(node, maths.Scripts):  # of a bracket, (W x)_0, too
        node = node.base
    if isinstance(before, maths.Space | maths.Operator) or isinstance(node, maths.Space):
        return _is_operator(before, {"∑", "∏"}) or (
            _is_operator(before, _CLOSING) and _is_name(node)
        )
    if isinstance(node, maths.Operator):
        return node.text == "[" and isinstance(before, maths.Scripts)
    if isinstance(before, maths.Word) and before.is_function:
        return not isinstance(node, maths.Grid)
    if isinstance(before, maths.Letter) and before.text in "Δ∂":
        return False
    if isinstance(before, maths.Word) or isinstance(node, maths.Word):
        return isinstance(node, maths.Word) and node.is_function
    return True


def _is_name(node: maths.Node) -> bool:
    return isinstance(node, maths.Letter | maths.Scripts | maths.Fraction | maths.Accent)


def _box(node: maths.Node, *, flat: bool) -> Box:
    match node:
        case maths.Row():
            return beside([_box(each, flat=flat) for each in _spaced(node)])
        case maths.Letter(text) | maths.Number(text) | maths.Space(text):
            return Box((text,))
        case maths.Word(text=text):
            return Box((text,))
        case maths.Operator(text):
            return Box(("−" if text == "-" else text,))
        case maths.Scripts(base, below, above):
            return beside([_box(base, flat=flat), _scripts(base, below, above)])
        case maths.Fraction(above, below):
            return _fraction(above, below, flat=flat)
        case maths.Root(inside):
            box = _box(inside, flat=True)
            return Box((f"√({box.lines[0]})" if box.width > 1 else f"√{box.lines[0]}",))
        case maths.Accent(base, mark, note):
            return _accent(base, mark, note, flat=flat)
        case maths.Grid():
            return _flat_grid(node) if flat else _grid(node)


def _scripts(base: maths.Node, below: maths.Node | None, above: maths.Node | None) -> Box:
    text = ""
    if below is not None:
        inside = _box(below, flat=True).lines[0].replace(" ", "")
        text += f"_{inside}" if len(inside) == 1 or inside.isdigit() else f"_({inside})"
        if not _is_operator(base, {"∑", "∏"}) and inside.isalnum():
            text = f"_{inside}"
    if above is not None:
        inside = _box(above, flat=True).lines[0].replace(" ", "")
        if set(inside) <= _HIGH_SET:
            text += inside.translate(_HIGH)
        else:
            text += f"^{inside}" if inside.isalpha() else f"^({inside})"
    return Box((text,))


def _fraction(above: maths.Node, below: maths.Node, *, flat: bool) -> Box:
    top, bottom = _box(above, flat=flat), _box(below, flat=flat)
    if flat or max(top.width, bottom.width) <= 2:
        return Box((f"{_held(top.lines[0])}/{_held(bottom.lines[0])}",))
    width = max(top.width, bottom.width) + 2
    rows = [*_centred(top.lines, width), "─" * width, *_centred(bottom.lines, width)]
    return Box(tuple(rows), top.height)


def _centred(lines: Sequence[str], width: int) -> list[str]:
    return [text.center(width + len(text) - columns(text)) for text in lines]


def _held(text: str) -> str:
    """In brackets where a / beside it would be read wrongly."""
    return f"({text})" if any(sign in text for sign in " +·⊙") else text


def _accent(base: maths.Node, mark: str, note: maths.Node | None, *, flat: bool) -> Box:
    box = _box(base, flat=flat)
    if mark != "⏟":
        combining = {"¯": "\u0304", "^": "\u0302", "~": "\u0303"}[mark]
        return Box((box.lines[0] + combining,)) if box.width == 1 else box
    if note is None:
        return box
    told = _box(note, flat=True)
    if flat:
        return Box((f"{box.lines[0]} ({told.lines[0]})",))
    width = max(box.width, told.width, 3)
    brace = "╰" + "─" * ((width - 3) // 2) + "┬" + "─" * (width - 3 - (width - 3) // 2) + "╯"
    rows = [*_centred(box.lines, width), brace, *_centred(told.lines, width)]
    return Box(tuple(rows), box.level)


def _flat_grid(grid: maths.Grid) -> Box:
    rows = [
        ", ".join(_box(cell, flat=True).lines[0] for cell in row if _box(cell, flat=True).width)
        for row in grid.rows
    ]
    left, right = grid.left or "", grid.right or ""
    if grid.kind == "row":
        return Box((f"{left}{rows[0]}{right}",))
    return Box((f"{left}{'; '.join(rows)}{right}",))


def _grid(grid: maths.Grid) -> Box:
    boxes = [[_box(cell, flat=False) for cell in row] for row in grid.rows]
    n = max(len(row) for row in boxes)
    boxes = [row + [Box(("",))] * (n - len(row)) for row in boxes]
    widths = [max(row[k].width for row in boxes) for k in range(n)]
    is_aligned = grid.kind == "aligned"  # what follows a & begins with a sign, and its room
    gap = "" if is_aligned else "  " if grid.kind.endswith("matrix") else " "
    lines: list[str] = []
    below_tall = False  # so that a fraction does not run into its neighbours
    for row in boxes:
        cells = []
        for k, box in enumerate(row):
            missing = " " * (widths[k] - box.width)
            to_the_left = grid.kind == "cases" or (grid.kind == "aligned" and k % 2)
            padded = [f"{t}{missing}" if to_the_left else f"{missing}{t}" for t in box.lines]
            cells.append(Box(tuple(padded), box.level))
        with_gaps = [part for cell in cells for part in (Box((gap,)), cell)][1:]
        whole = beside(with_gaps)
        apart = [""] if is_aligned and lines and (whole.height > 1 or below_tall) else []
        below_tall = whole.height > 1
        lines += [*apart, *whole.lines]
    width = max(map(columns, lines))
    lines = [text + " " * (width - columns(text)) for text in lines]
    left, right = (_fence(bracket, len(lines)) for bracket in (grid.left, grid.right))
    room = " " if len(lines) > 1 and grid.kind != "row" else ""
    rows = [
        f"{a}{room if a else ''}{text}{room if b else ''}{b}"
        for a, text, b in zip(left, lines, right, strict=True)
    ]
    return Box(tuple(rows), (len(rows) - 1) // 2)


def _fence(bracket: str, height: int) -> list[str]:
    if height == 1 or not bracket:
        return [bracket] * height
    if bracket == "{" and height == 2:
        return ["⎰", "⎱"]
    top, middle, bottom = _BRACKETS[bracket]
    if bracket == "{":
        between = ["⎪"] * (height - 2)
        between[(height - 3) // 2] = middle
        return [top, *between, bottom]
    return [top, *[middle] * (height - 2), bottom]
