"""Where the names of points go, so that they cover neither each other nor the points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LETTER, LINE = 7.0, 15.0  # pixels that a letter and a line take at the size of labels
MARKER = 6.0  # half of a point
REACHES = (10.0, 22.0, 36.0, 52.0, 70.0)  # pixels from a point to the near side of its name
DIRECTIONS = ((1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1), (0, -1), (0, 1))


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def shared_with(self, other: Box) -> float:
        """The area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, wide) * max(0.0, high)

    def outside(self, width: float, height: float) -> float:
        """The area beyond the figure."""
        own = (self.right - self.left) * (self.bottom - self.top)
        return own - self.shared_with(Box(0, 0, width, height))


def label_offsets(
    places: Sequence[tuple[float, float]], labels: Sequence[str], width: float, height: float
) -> list[tuple[float, float]]:
    """How far the middle of each name is from its point, in pixels.

    Each name takes, one after the other, the nearest place where it covers nothing; where there is
    none, the one where it covers least.

    Args:
        places: of the points, from the upper left corner of the figure.
        labels: their names.
        width, height: of the figure.
    """
    taken = [Box(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in places]
    found = []
    for (x, y), label in zip(places, labels, strict=True):
        half = len(label) * LETTER / 2
        best, offset, box = math.inf, (0.0, 0.0), taken[0]
        for reach in REACHES:
            for across, down in DIRECTIONS:
                slant = math.sqrt(0.5) if across and down else 1.0
                dx = across * (reach * slant + half)
                dy = down * (reach * slant + LINE / 2)
                there = Box(x + dx - half, y + dy - LINE / 2, x + dx + half, y + dy + LINE / 2)
                covered = there.outside(width, height) + sum(map(there.shared_with, taken))
                if covered < best:
                    best, offset, box = covered, (dx, dy), there
            if best == 0:
                break
        taken.append(box)
        found.append(offset)
    return found
