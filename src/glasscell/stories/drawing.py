"""Figures on light and on dark paper, as a document takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from glasscell.explaining import Figure


def figure(draw: Callable[..., Any], *args: Any, caption: str, alt: str, **options: Any) -> Figure:
    """What a function of `glasscell.plots` draws of these arguments, for both kinds of paper.

    Args:
        draw: the function; it takes `dark=`.
        args, options: what else it takes.
        caption: what the figure shows, with markup.
        alt: what is to be seen in it, in plain words.
    """
    light, dark = (draw(*args, dark=each, **options) for each in (False, True))
    return Figure(light, caption, alt, dark=dark)
