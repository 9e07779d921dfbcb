"""Three parts of a panel by time: what is trained on, what chooses, what is scored.

The same moments part all series, so that nothing later than a moment teaches what is forecast
from it, in no series.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from glasscell.errors import UserError
from glasscell.tasks.series.panel import Panel

HELD_OUT = 0.1  # of the steps of the longest series, for each of the two later parts
FEWEST = 8  # values to be trained on


@dataclass(frozen=True)
class Parts:
    """Places on the grid of the first steps that are no longer of a part.

    Attributes:
        train: values before it are trained on.
        validation: values from `train` to here choose between models.
        test: values from `validation` to here are scored.
    """

    train: int
    validation: int
    test: int

    @classmethod
    def of(cls, panel: Panel, horizon: int) -> Parts:
        """The later parts are a tenth each, and at least a horizon.

        Raises:
            UserError: no series is long enough.
        """
        first, last = int(panel.first.min()), int((panel.first + panel.lengths).max())
        held = max(horizon, round(HELD_OUT * (last - first)))
        train = last - 2 * held
        if train - first < max(FEWEST, horizon):
            raise UserError(
                f"the series are too short: {last - first} steps at most, and a horizon of "
                f"{horizon} needs at least {2 * horizon + max(FEWEST, horizon)}: a horizon to "
                "score, one to choose by, and as much to train on"
            )
        return cls(train, train + held, last)

    def ends(self, panel: Panel, part: str) -> np.ndarray:
        """(S,) of each series, the rows before the end of a part."""
        return np.clip(getattr(self, part) - panel.first, 0, panel.lengths)

    def as_dict(self) -> dict[str, int]:
        return asdict(self)
