"""Lengths of time as people write them: "10m", "90s", "1h30m"."""

from __future__ import annotations

import math
import re

from glasscell.errors import UserError

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST = 1e9  # seconds, some thirty years
PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smh])")


def seconds_of(duration: str | float, name: str = "duration") -> float:
    """Seconds: of a number itself, of "90s", "10m", "1h30m".

    Args:
        duration: the number, or the text.
        name: of the argument that it was given as, for the error.

    Raises:
        UserError: something else, or no positive time.

    Example:
        >>> from glasscell.comparing.times_in_words import seconds_of
        >>> seconds_of("1h30m")
        5400.0
    """
    text = str(duration).strip().lower()
    try:
        seconds = float(text)
    except ValueError:
        if not re.fullmatch(rf"(?:{PART.pattern}\s*)+", text):
            raise UserError(
                f"{name}: expected a time such as 90s, 10m or 1h30m, got {duration!r}"
            ) from None
        seconds = sum(float(n) * UNITS[unit] for n, unit in PART.findall(text))
    if not (0 < seconds <= LONGEST) or math.isnan(seconds):
        raise UserError(f"{name}: expected more than no time, at most 30 years, got {duration!r}")
    return seconds


def in_words(seconds: float) -> str:
    """A length of time in words: "48 s", "3 min 20 s", "1 h 5 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{rest} s"
