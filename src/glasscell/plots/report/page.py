"""Puts the page together: one file of HTML that needs nothing else, not even a network."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources

from torch import Tensor

from glasscell.analysis import predictions
from glasscell.errors import InputError
from glasscell.plots.palette import DARK, LIGHT, LOOKS, THEMES, Theme
from glasscell.plots.report import content
from glasscell.tracing import LayerTrace, Trace
from glasscell.version import __version__

SCRIPTS = (
    "data.js",
    "tokens.js",
    "text.js",
    "figures.js",
    "heatmaps.js",
    "controls.js",
    "report.js",
)


def language_report(
    trace: Trace | LayerTrace,
    ids: Tensor,
    logits: Tensor,
    vocabulary: Sequence[str],
    *,
    title: str = "Inside a language model",
    facts: Mapping[str, object] | None = None,
    token: str = "token",
    b: int = 0,
    top: int = 5,
) -> str:
    """A page that shows what a language model's gates and states did with a text.

    Args:
        trace: the recorded layers, or one of them.
        ids: (T,) the tokens that were read; T >= 1.
        logits: (T, V) scores of the next token after each, or log-probabilities.
        vocabulary: (V,) every token as text. It is shown as text, whatever it holds.
        title: the page's heading.
        facts: more about the model, shown in the heading by name; those that the trace tells
            (cell, layers, units, tokens, bits) are there anyhow.
        token: what a token is called: "character", "byte", "word".
        b: which sequence of the batch.
        top: how many of the most probable next tokens are kept for each step.

    Returns:
        The page, to be written as UTF-8. plotly.js is in it, so it takes about 5 MB, and one
        byte for each value shown. Where there would be more than 24 million, it shows fewer steps
        and says so; saturation and memory are always over all of them.

    Raises:
        InputError: no token or layer, or shapes that do not belong together.
    """
    from plotly.offline import get_plotlyjs

    layers = _named_layers(trace)
    T = len(ids)
    if T == 0 or not layers:
        raise InputError("trace, ids: expected at least one layer and one token")
    if logits.dim() == 2 and len(vocabulary) != logits.shape[1]:
        raise InputError(f"vocabulary: expected {logits.shape[1]} tokens, got {len(vocabulary)}")
    content.check_steps(layers, b, T)
    found = predictions(logits, ids, top)
    bare = [layer for _, layer in layers]
    steps = content.steps_shown(bare, T)
    tokens = [vocabulary[int(v)] for v in ids.tolist()]
    data = {
        "token": token,
        "text": content.text_content(tokens, found, vocabulary, steps),
        "layers": [content.layer_content(name, layer, b, steps) for name, layer in layers],
        "quantities": content.quantity_looks(bare),
        "themes": {
            theme.name: {
                "colours": vars(theme),
                "figures": content.figure_looks(bare, theme),
            }
            for theme in THEMES
        },
    }
    bits = "–" if T < 2 else f"{found.bits:.2f}"
    head = {
        "Cell": bare[0].kind.upper(),
        "Layers": sum(not layer.name.endswith("_reverse") for layer in bare),
        "Units a layer": ", ".join(dict.fromkeys(str(layer.hidden_size) for layer in bare)),
        f"{token.capitalize()}s": f"{T:,}",
        f"Bits per {token}": bits,
        **(facts or {}),
    }
    assets = resources.files("glasscell.plots.report")
    return _filled(
        assets.joinpath("page.html").read_text("utf-8"),
        {
            "title": html.escape(title),
            "facts": _fact_list(head),
            "token": html.escape(token),
            "version": html.escape(__version__),
            "style": _colours() + assets.joinpath("style.css").read_text("utf-8"),
            "plotly": get_plotlyjs(),
            # "<" would let a token close the script element that carries the data.
            "data": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
            "script": "\n".join(assets.joinpath(name).read_text("utf-8") for name in SCRIPTS),
        },
    )


def _named_layers(trace: Trace | LayerTrace) -> list[tuple[str, LayerTrace]]:
    """The layers under names that differ: the calls of one that ran several times are counted."""
    if isinstance(trace, LayerTrace):
        return [(trace.name, trace)]
    layers = list(trace.items())
    names = [name for name, _ in layers]
    counted = [
        f"{name}, call {names[:k].count(name) + 1}" if names.count(name) > 1 else name
        for k, name in enumerate(names)
    ]
    return [(name, layer.detach()) for name, (_, layer) in zip(counted, layers, strict=True)]


def _filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with each {{name}} replaced once: what is put in is never searched again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)


def _fact_list(facts: Mapping[str, object]) -> str:
    rows = (
        f"<div><dt>{html.escape(str(name))}</dt><dd>{html.escape(str(value))}</dd></div>"
        for name, value in facts.items()
    )
    return "\n".join(rows)


def _colours() -> str:
    """The palette as CSS variables, for light and for dark paper."""

    def variables(theme: Theme) -> str:
        colours = {name: value for name, value in vars(theme).items() if name != "name"}
        colours |= {name: each.colour(theme) for name, each in LOOKS.items()}
        return ":root { " + " ".join(f"--{k}: {v};" for k, v in colours.items()) + " }"

    dark = f"@media (prefers-color-scheme: dark) {{ {variables(DARK)} }}"
    return f"{variables(LIGHT)}\n@media not print {{ {dark} }}\n"
