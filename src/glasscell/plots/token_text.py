"""Tokens as they are shown on an axis or in a label: visible, and never read as markup."""

from collections.abc import Sequence

VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍", "\x7f": "␡"}
LONGEST = 14  # characters; more would not fit on an axis


def shown(token: str) -> str:
    """A token with white space and control characters made visible, cut if it is long."""
    marks = [VISIBLE.get(c) or (chr(0x2400 + ord(c)) if ord(c) < 0x20 else c) for c in token]
    marks = [c if c.isprintable() or len(c) > 1 else f"⟨U+{ord(c):04X}⟩" for c in marks]
    text = "".join(marks)
    return text or "∅" if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def label(token: str) -> str:
    """A token for a plotly label, which would take "<b>" for markup."""
    return shown(token).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def labels(tokens: Sequence[str] | None, T: int) -> list[str]:
    """A label for each of T steps: the tokens', or nothing if there are none."""
    return [""] * T if tokens is None else [label(token) for token in tokens]
