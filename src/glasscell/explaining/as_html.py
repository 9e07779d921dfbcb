"""An explanation as a page for a browser, or as a part of a notebook. Nothing is fetched."""

from html import escape
from importlib import resources

import numpy as np

from glasscell.explaining import inline, maths_html, numerals
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

# Figures of the other theme are hidden while they are drawn, and so know no width yet.
_RESIZE = """<script>
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const fit = () => document.querySelectorAll(".glasscell-explanation .js-plotly-plot")
    .forEach((plot) => { if (plot.offsetParent) Plotly.Plots.resize(plot); });
  dark.addEventListener("change", () => requestAnimationFrame(fit));
  addEventListener("load", fit);
})();
</script>"""


def page(explanation: Explanation) -> str:
    """A whole page, to be written as UTF-8."""
    title = escape(_text(explanation.title))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n</head>\n"
        f'<body class="glasscell-page">\n{fragment(explanation)}\n</body>\n</html>\n'
    )


def fragment(explanation: Explanation) -> str:
    """The same as one element, its style with it."""
    style = resources.files("glasscell.explaining").joinpath("style.css").read_text("utf-8")
    blocks = [f"<h1>{_spans(explanation.title)}</h1>"]
    has_plotly = False
    previous: Piece | None = None
    for piece in explanation.pieces:
        if isinstance(piece, Check) and not isinstance(previous, Check):
            blocks.append('<ul class="checks">')
        if isinstance(previous, Check) and not isinstance(piece, Check):
            blocks.append("</ul>")
        if isinstance(piece, Figure):
            blocks.append(_figure(piece, with_plotly=not has_plotly))
            has_plotly = True
        else:
            blocks.append(_block(piece))
        previous = piece
    if isinstance(previous, Check):
        blocks.append("</ul>")
    if has_plotly:
        blocks.append(_RESIZE)
    body = "\n".join(blocks)
    return f'<style>\n{style}</style>\n<article class="glasscell-explanation">\n{body}\n</article>'


def _block(piece: Piece) -> str:
    match piece:
        case Heading(text, level):
            return f"<h{level}>{_spans(text)}</h{level}>"
        case Prose(text):
            return f"<p>{_spans(text)}</p>"
        case Items(items, counted):
            name = "ol" if counted else "ul"
            return f"<{name}>{''.join(f'<li>{_spans(item)}</li>' for item in items)}</{name}>"
        case Equation(latex, remark):
            return _displayed(latex, _spans(remark))
        case Vector(name, values, chosen, meaning):
            return _displayed(f"{name} = {numerals.row(values, chosen)}", _told(values, meaning))
        case Matrix(name, values, reason, rows, columns):
            body = numerals.matrix(values, rows, columns)
            return _displayed(f"{name} = {body}", _told(values, reason))
        case Check(text, holds):
            name, mark, word = ("holds", "✓", "holds") if holds else ("fails", "✗", "fails")
            sign = f'<span class="mark" role="img" aria-label="{word}">{mark}</span>'
            return f'<li class="{name}">{sign} {_spans(text)}</li>'
        case Table():
            return _table(piece)
        case Code(text, language):
            return f'<pre><code class="language-{escape(language)}">{escape(text)}</code></pre>'
    raise AssertionError(piece)


def _displayed(latex: str, remark: str) -> str:
    told = f'<div class="remark">{remark}</div>' if remark else ""
    formula = f'<div class="formula" tabindex="0">{maths_html.block(latex)}</div>'
    return f'<div class="equation">{formula}{told}</div>'


def _told(values: np.ndarray, reason: str) -> str:
    size = f'<span class="size">{numerals.size(values.shape)}</span>'
    return f"{size}: {_spans(reason)}" if reason else size


def _table(table: Table) -> str:
    def cells(row: tuple[str, ...], name: str) -> str:
        return "".join(
            f"<{name}{' class=number' if side == 'r' else ''}>{_spans(text)}</{name}>"
            for text, side in zip(row, table.align, strict=True)
        )

    rows = "\n".join(f"<tr>{cells(tuple(row), 'td')}</tr>" for row in table.rows)
    caption = f"<caption>{_spans(table.caption)}</caption>" if table.caption else ""
    head = f"<thead><tr>{cells(tuple(table.head), 'th')}</tr></thead>"
    body = f"<table>{caption}{head}<tbody>\n{rows}\n</tbody></table>"
    return f'<div class="table" tabindex="0">{body}</div>'


def _figure(piece: Figure, *, with_plotly: bool) -> str:
    drawings = [_drawing(piece.figure, "light" if piece.dark is not None else "", with_plotly)]
    if piece.dark is not None:
        drawings.append(_drawing(piece.dark, "dark", False))
    label = escape(piece.alt, quote=True)
    body = f'<div role="img" aria-label="{label}">{"".join(drawings)}</div>'
    return f"<figure>{body}<figcaption>{_spans(piece.caption)}</figcaption></figure>"


def _drawing(figure: object, theme: str, with_plotly: bool) -> str:
    drawn = figure.to_html(  # type: ignore[attr-defined]
        full_html=False,
        include_plotlyjs=with_plotly,
        default_width="100%",
        config={"displaylogo": False, "responsive": True},
    )
    return f'<div class="drawing {theme}">{drawn}</div>'


def _spans(text: str) -> str:
    parts = []
    for span in inline.read(text):
        if span.kind == "maths":
            parts.append(maths_html.inline(span.text))
        elif span.kind == "strong":
            parts.append(f"<strong>{_spans(span.text)}</strong>")
        elif span.kind == "code":
            parts.append(f"<code>{escape(span.text)}</code>")
        else:
            parts.append(escape(span.text))
    return "".join(parts)


def _text(text: str) -> str:
    from glasscell.explaining.as_text import plain

    return plain(text)
