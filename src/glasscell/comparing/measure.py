"""What cells are compared by."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
        """Whether a score is better than another, by more than a rounding."""
        if math.isclose(score, other, rel_tol=1e-9, abs_tol=1e-12):
            return False
        return score < other if self.lower_is_better else score > other

    def is_best(self, score: float, margin: float) -> bool:
        """Whether a score is the best there can be, up to a difference that does not matter."""
        return self.optimum is not None and abs(score - self.optimum) <= margin

    def tells_nothing(self, scores: Sequence[float], margin: float) -> bool:
        """Whether scores, of trainings that are to be told apart, are all the best that there can
        be, or all no better than chance, where both are known."""
        if self.optimum is None or not scores:
            return False
        chance = dict(self.levels).get("chance")
        at_chance = chance is not None and not any(self.is_better(s, chance) for s in scores)
        return at_chance or all(self.is_best(score, margin) for score in scores)

    def told(self, value: float, *, sign: bool = False) -> str:
        """A score or a difference, with its digits and a proper minus."""
        text = f"{value:{'+' if sign else ''}.{self.digits}f}"
        if float(text) == 0:
            text = text.lstrip("+-")
        return text.replace("-", "−").replace("inf", "∞")
