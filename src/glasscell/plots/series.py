"""Colours of things side by side that are no quantities of a cell: models, layers, losses."""

from __future__ import annotations

from glasscell.plots.palette import DARK, Theme

# Told apart without seeing colours too (after Okabe and Ito 2008), and by no gate's meaning.
LIGHT_SERIES = ("#0063a6", "#d0500a", "#008463", "#b0488a", "#8a6d00", "#5b6472")
DARK_SERIES = ("#5db7f0", "#ff9357", "#3fcfa4", "#ec93c6", "#e3c34d", "#a3acb9")

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")  # for those without colours

# From the first to the last of a sequence: a rainbow, even in lightness as far as one can be.
LIGHT_RAINBOW = ("#6a4fb3", "#2f74c0", "#12908e", "#5a9a3c", "#d09a1c", "#cf4a3c")
DARK_RAINBOW = ("#a78bf0", "#6fb0f5", "#45c7c0", "#93cf6c", "#f2c14e", "#ff8a75")


def series_colour(k: int, theme: Theme) -> str:
    """The colour of the k-th of several things; they repeat."""
    colours = DARK_SERIES if theme is DARK else LIGHT_SERIES
    return colours[k % len(colours)]


def series_symbol(k: int) -> str:
    """The mark of the k-th of several things: another where colours begin anew."""
    return SYMBOLS[k // len(LIGHT_SERIES) % len(SYMBOLS)]


def series_dash(k: int) -> str:
    """The line of the k-th of several things; not the same as that of another in its colour."""
    return DASHES[(k + k // len(LIGHT_SERIES)) % len(DASHES)]


def rainbow(theme: Theme) -> list[list[float | str]]:
    """A colour scale from the first (0) to the last (1) of a sequence."""
    colours = DARK_RAINBOW if theme is DARK else LIGHT_RAINBOW
    return [[k / (len(colours) - 1), colour] for k, colour in enumerate(colours)]
