"""What cells are compared by."""

from __future__ import annotations

import math
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
        optimum: the best score there can be, where that is known.
        bounds: between which every score lies.
    """

    name: str
    lower_is_better: bool
    margin: float
    digits: int = 3
    levels: tuple[tuple[str, float], ...] = ()
    optimum: float | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)

    def is_better(self, score: float, other: float) -> bool:
        """Whether a score is better than another, by however little."""
        return score < other if self.lower_is_better else score > other

    def told(self, value: float, *, sign: bool = False) -> str:
        """A score or a difference, with its digits and a proper minus."""
        text = f"{value:{'+' if sign else ''}.{self.digits}f}"
        if float(text) == 0:
            text = text.lstrip("+-")
        return text.replace("-", "−").replace("inf", "∞")
