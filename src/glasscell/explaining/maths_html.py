"""Maths for a browser: MathML, which every browser shows and reads aloud without a script."""

from html import escape

from glasscell.explaining import maths

_FENCES = set("()[]{}|‖")
_BIG = set("∑∏")
# Their brackets are lines of the style sheet: without a font for maths a browser stretches none.
_DRAWN = {"bmatrix", "pmatrix", "vmatrix"}
_UNDER = {*_BIG, "lim", "max", "min"}  # what has its bounds below and above


def block(latex: str) -> str:
    """A displayed formula."""
    return f'<math display="block">{_row(maths.read(latex))}</math>'


def inline(latex: str) -> str:
    """A formula within a sentence."""
    return f"<math>{_row(maths.read(latex))}</math>"


def _row(row: maths.Row) -> str:
    return f"<mrow>{''.join(map(_node, row.items))}</mrow>"


def _node(node: maths.Node) -> str:
    match node:
        case maths.Row():
            return _row(node)
        case maths.Letter(text):
            return f"<mi>{escape(text)}</mi>"
        case maths.Number(text):
            return f"<mn>{escape(text)}</mn>"
        case maths.Operator(text):
            return _operator(text)
        case maths.Word(text, is_function, bold):
            if is_function:
                return f"<mi>{escape(text)}</mi><mo>&#x2061;</mo>"
            weight = ' style="font-weight:bold"' if bold else ""
            return f"<mtext{weight}>{escape(text).replace(' ', '&nbsp;')}</mtext>"
        case maths.Space(text):
            return f'<mspace width="{0.25 * len(text) + 0.08:.2f}em"></mspace>'
        case maths.Scripts():
            return _scripts(node)
        case maths.Fraction(above, below):
            return f"<mfrac>{_node(above)}{_node(below)}</mfrac>"
        case maths.Root(inside):
            return f"<msqrt>{_node(inside)}</msqrt>"
        case maths.Accent(base, mark, note):
            if mark != "⏟":
                return f'<mover accent="true">{_node(base)}<mo>{escape(mark)}</mo></mover>'
            brace = f'<munder>{_node(base)}<mo stretchy="true">⏟</mo></munder>'
            return brace if note is None else f"<munder>{brace}{_node(note)}</munder>"
        case maths.Grid():
            return _grid(node)


def _operator(text: str) -> str:
    if text in _FENCES:
        return f'<mo stretchy="false">{text}</mo>'
    if text in _BIG:
        return f'<mo movablelimits="false">{text}</mo>'
    return f"<mo>{escape('−' if text == '-' else text)}</mo>"


def _scripts(node: maths.Scripts) -> str:
    base = _node(node.base)
    is_big = isinstance(node.base, maths.Operator) and node.base.text in _BIG
    under = is_big or (
        isinstance(node.base, maths.Word) and node.base.text in ("lim", "max", "min")
    )
    parts = [base] + [_node(each) for each in (node.below, node.above) if each is not None]
    if isinstance(node.base, maths.Word) and node.base.is_function:
        parts[0] = f"<mi>{escape(node.base.text)}</mi>"
    if node.below is not None and node.above is not None:
        name = "munderover" if under else "msubsup"
    elif node.below is not None:
        name = "munder" if under else "msub"
    else:
        name = "mover" if under else "msup"
    return f"<{name}>{''.join(parts)}</{name}>"


def _grid(grid: maths.Grid) -> str:
    if grid.kind == "row":
        inside = _node(grid.rows[0][0])
    else:
        rows = "".join(
            f"<mtr>{''.join(f'<mtd>{_node(cell)}</mtd>' for cell in row)}</mtr>"
            for row in grid.rows
        )
        display = ' displaystyle="true"' if grid.kind == "aligned" else ""
        inside = f'<mtable class="{grid.kind}"{display}>{rows}</mtable>'
    if grid.kind in _DRAWN:
        return inside
    left, right = (
        f'<mo fence="true" stretchy="true">{escape(mark)}</mo>' if mark else ""
        for mark in (grid.left, grid.right)
    )
    return f"<mrow>{left}{inside}{right}</mrow>"
