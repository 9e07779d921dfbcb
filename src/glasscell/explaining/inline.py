"""The little markup of prose: `**strong**`, `` `code` `` and `$maths$`."""

import re
from dataclasses import dataclass
from functools import lru_cache

from glasscell.errors import InputError
from glasscell.explaining import maths

_MARK = re.compile(
    r"\\(?P<literal>[\\*`$])|\*\*(?P<strong>.+?)\*\*|`(?P<code>[^`]+)`|\$(?P<maths>[^$]+)\$",
    re.DOTALL,
)


@dataclass(frozen=True)
class Span:
    """A stretch of prose: kind is "plain", "strong", "code" or "maths"."""

    kind: str
    text: str


@lru_cache(maxsize=4096)
def read(text: str) -> tuple[Span, ...]:
    """The stretches that a text consists of.

    Raises:
        InputError: maths that cannot be shown, or a mark without its partner.
    """
    spans: list[Span] = []
    plain, rest = "", 0
    for match in _MARK.finditer(text):
        plain += _plain(text, rest, match.start())
        rest = match.end()
        kind = match.lastgroup or ""
        if kind == "literal":
            plain += match[kind]
            continue
        if plain:
            spans.append(Span("plain", plain))
            plain = ""
        if kind == "maths":
            maths.read(match[kind])
        spans.append(Span(kind, match[kind]))
    plain += _plain(text, rest, len(text))
    return (*spans, Span("plain", plain)) if plain else tuple(spans)


def _plain(text: str, start: int, end: int) -> str:
    stretch = text[start:end]
    for mark in ("$", "`", "**"):
        if mark in stretch:
            raise InputError(
                f"text: expected {mark} in pairs, or as \\{mark[0]} for the mark itself, "
                f"got {text!r}"
            )
    return stretch
