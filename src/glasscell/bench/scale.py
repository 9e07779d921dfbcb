"""How large a run of the bench is: every shape, or the few that show it works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Scale:
    """How much is run, and for how long.

    Attributes:
        budget: seconds for each comparison.
        rounds: turns that each peer gets at least.
        T: time steps, unless a case says otherwise.
        few: only a few of the shapes of every grid.
        divide: by how much every batch and layer is smaller than it says, for tests.
    """

    budget: float = 2.0
    rounds: int = 5
    T: int = 100
    few: bool = False
    divide: int = 1

    @classmethod
    def quick(cls, budget: float = 0.2) -> Scale:
        """Some minutes in all; too short and too few shapes to judge by."""
        return cls(budget=budget, rounds=3, few=True)

    def grid(self, *axes: Sequence[int]) -> list[tuple[int, ...]]:
        """Every combination of the axes' sizes; of a few, the first two along the diagonal."""
        if self.few:
            longest = min(2, max(len(axis) for axis in axes))
            cells = [tuple(axis[min(k, len(axis) - 1)] for axis in axes) for k in range(longest)]
        else:
            cells = list(product(*axes))
        return [tuple(max(1, size // self.divide) for size in cell) for cell in cells]

    def some(self, sizes: Sequence[int]) -> list[int]:
        """The sizes of one axis; of a few, the first two."""
        return [size for (size,) in self.grid(sizes)]
