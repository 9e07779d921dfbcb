"""Puts the page together: one file of HTML that needs nothing else, not even a network."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from torch import Tensor

from glasscell.analysis import KickSurvival, SurpriseFlow, predictions
from glasscell.cells import name_of
from glasscell.errors import InputError
from glasscell.plots.palette import DARK, LIGHT, LOOKS, THEMES, Theme
from glasscell.plots.report import content
from glasscell.plots.report.flow_part import flow_content, flow_lines, flow_map, ways
from glasscell.plots.report.kick_part import kick_content, kick_figure
from glasscell.plots.report.ledger_part import ledger_content, ledger_figure
from glasscell.tracing import LayerTrace, Trace
from glasscell.version import __version__

SCRIPTS = (
    "data.js",
    "tokens.js",
    "text.js",
    "figures.js",
    "heatmaps.js",
    "memory.js",
    "kicks.js",
    "account.js",
    "ledger.js",
    "ledger_columns.js",
    "flow_numbers.js",
    "flow.js",
    "controls.js",
    "report.js",
)
SECTIONS = ("ledger", "kicks", "flow")  # each in a file of its own


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
    kicks: Mapping[str, KickSurvival] | None = None,
    flow: SurpriseFlow | str | None = None,
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
        kicks: what `analysis.kick_survival` measured, by the layer's name, for a part about it.
        flow: what `analysis.surprise_flow` found about a window of these tokens, for a part about
            how surprise reaches back; or why there is none, in a sentence that is shown.

    Returns:
        The page, to be written as UTF-8. plotly.js is in it, so it takes about 5 MB, and one
        byte for each value shown. Where there would be more than 24 million, it shows fewer steps
        and says so; saturation and memory are always over all of them. The account of each cell
        state takes another 11 bytes a unit and step, 4 MB at most; where it would be more, it is
        about fewer units and says so.

    Raises:
        InputError: no token or layer, or shapes that do not belong together.

    Example:
        >>> import pathlib
        >>> letters, ids = "abc", torch.tensor([0, 1, 2, 0, 1, 2])
        >>> reader = torch.nn.ModuleList([torch.nn.Embedding(3, 3), lstm, torch.nn.Linear(8, 3)])
        >>> def read(tokens):  # (T, B) to scores (T, B, V)
        ...     return reader[2](lstm(reader[0](tokens))[0])
        >>> with torch.no_grad(), glasscell.trace(reader) as trace:
        ...     scores = read(ids[:, None])[:, 0]
        >>> page = plots.language_report(
        ...     trace,
        ...     ids,
        ...     scores,
        ...     list(letters),
        ...     kicks={"1.l0": analysis.kick_survival(reader, trace["1.l0"], window=3)},
        ...     flow=analysis.surprise_flow(reader, ids, read),
        ... )
        >>> size = pathlib.Path("report.html").write_text(page, encoding="utf-8")
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
    names = [name for name, _ in layers]
    data = {
        "token": token,
        "text": content.text_content(tokens, found, vocabulary, steps),
        "layers": [content.layer_content(name, layer, b, steps) for name, layer in layers],
        "quantities": content.quantity_looks(bare),
        "ledgers": ledger_content(bare, b, steps),
        "kicks": {name: kick_content(found) for name, found in (kicks or {}).items()},
        "flow": None if flow is None else flow_content(flow, names, steps),
        "themes": {
            theme.name: {
                "colours": vars(theme),
                "figures": content.figure_looks(bare, theme) | _part_looks(bare, theme),
            }
            for theme in THEMES
        },
    }
    bits = "–" if T < 2 else f"{found.bits:.2f}"
    head = {
        "Cell": _cell_told(bare[0]),
        "Layers": sum(not layer.name.endswith("_reverse") for layer in bare),
        "Units a layer": ", ".join(dict.fromkeys(str(layer.hidden_size) for layer in bare)),
        f"{token.capitalize()}s": f"{T:,}",
        f"Bits per {token}": bits,
        **(facts or {}),
    }
    assets = resources.files("glasscell.plots.report")
    page = assets.joinpath("page.html").read_text("utf-8")
    for name in SECTIONS:
        page = page.replace(f"{{{{{name}}}}}", assets.joinpath(f"{name}.html").read_text("utf-8"))
    return _filled(
        page,
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


def _cell_told(layer: LayerTrace) -> str:
    """The kind of a layer's cell, and which variant it is."""
    kind = layer.kind.replace("_", " ").upper()
    name = name_of(layer.definition)
    return kind if name in (None, layer.kind) else f"{kind}, {name}"


def _part_looks(layers: Sequence[LayerTrace], theme: Theme) -> dict[str, Any]:
    """The figures of the parts with a file of their own, without numbers, in one theme."""
    looks = {
        content.look_of(layer): (layer.definition.state, content.keeper_of(layer))
        for layer in layers
    }
    return {
        "ledger": content.plain(ledger_figure(theme)),
        "flow": content.plain(flow_map(theme)),
        "flow_lines": {key: content.plain(flow_lines(*of, theme)) for key, of in looks.items()},
        "flow_ways": {key: ways(theme, *of) for key, of in looks.items()},
        "kicks": {key: content.plain(kick_figure(*of, theme)) for key, of in looks.items()},
    }


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
