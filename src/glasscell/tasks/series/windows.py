"""Stretches of series to be trained on: what is read, what comes after, and what counts.

From every step of a stretch the whole horizon is forecast. A value counts where it is there, and
lies before the end of its part: nothing that comes later is looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from glasscell.tasks.series.inputs import Inputs


class Batch(NamedTuple):
    """Stretches side by side.

    Attributes:
        read: (T, B, I).
        future: (T, B, ahead, K) of the steps after each.
        last: (T, B) the last value at each, scaled.
        target: (T, B, ahead) the values after each, scaled; 0 where they do not count.
        counts: (T, B, ahead) whether they do.
        scale: (B,) of the series.
    """

    read: Tensor
    future: Tensor
    last: Tensor
    target: Tensor
    counts: Tensor
    scale: Tensor

    def at(self, steps: Tensor) -> Batch:
        """The forecasts from some of the steps alone; what is read stays."""
        return self._replace(
            future=self.future[steps],
            last=self.last[steps],
            target=self.target[steps],
            counts=self.counts[steps],
        )


class Windows:
    """The stretches of all series of a panel.

    Args:
        inputs: of the panel.
        offsets: (S + 1,) where each series begins.
        begins, ends: (S,) rows of each series, the first and the one after the last, whose values
            are forecast; what is read may come before.
        context: T, steps of a stretch.
        ahead: steps that are forecast from each.
    """

    def __init__(
        self,
        inputs: Inputs,
        offsets: np.ndarray,
        begins: np.ndarray,
        ends: np.ndarray,
        *,
        context: int,
        ahead: int,
    ) -> None:
        self.context, self.ahead = context, ahead
        self.read = torch.from_numpy(inputs.read)
        self.future = torch.from_numpy(inputs.future)
        self.last = torch.from_numpy(inputs.last)
        self.target = torch.from_numpy(inputs.target)
        self.scale = torch.from_numpy(inputs.scales[:, 1].astype(np.float32))
        self.first = torch.from_numpy(offsets[:-1].astype(np.int64))
        self.begins = torch.from_numpy(begins.astype(np.int64))
        self.ends = torch.from_numpy(ends.astype(np.int64))

    def to(self, device: torch.device | str) -> Windows:
        """Itself, on a device."""
        for name in ("read", "future", "last", "target", "scale", "first", "begins", "ends"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def batch(self, series: Tensor, starts: Tensor) -> Batch:
        """The stretches that begin at row `starts` (B,) of `series` (B,); rows before the first
        or after the last of a series are read as zeros."""
        T, last = self.context, len(self.read) - 1
        steps = torch.arange(T + self.ahead, device=starts.device)
        rows = starts + steps[:, None]  # (T + ahead, B) within the series
        places = (self.first[series] + rows).clamp(0, last)
        inside = (rows >= 0) & (rows < self.ends[series])
        read = self.read[places[:T]] * inside[:T, :, None]
        counts = inside & (rows >= self.begins[series]) & self.target[places].isfinite()
        target = torch.where(counts, self.target[places], 0.0)

        def ahead(values: Tensor) -> Tensor:
            """Of each step the values of those after it: (T, B, ahead, ...)."""
            return values[1:].unfold(0, self.ahead, 1).movedim(-1, 2)

        first_read = rows[:T, :, None] >= 0  # nothing is forecast before something was read
        return Batch(
            read=read,
            future=ahead(self.future[places]),
            last=self.last[places[:T]],
            target=ahead(target),
            counts=ahead(counts) & first_read,
            scale=self.scale[series],
        )
