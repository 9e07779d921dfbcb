"""What cells are compared by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A score.

    Attributes:
        name: what it is: "bits a character".
        lower_is_better: which way is better.
        margin: the largest difference that does not matter, unless somebody says another.
        digits: after the point, as it is shown.
        levels: what to compare any score with, by name: {"naive": 1.02}.
    """

    name: str
    lower_is_better: bool
    margin: float
    digits: int = 3
    levels: tuple[tuple[str, float], ...] = ()

    def told(self, value: float, *, sign: bool = False) -> str:
        """A score or a difference, with its digits and a proper minus."""
        text = f"{value:{'+' if sign else ''}.{self.digits}f}"
        if float(text) == 0:
            text = text.lstrip("+-")
        return text.replace("-", "−").replace("inf", "∞")
