"""Dyck-2 of bounded depth: two kinds of brackets (Hewitt et al. 2020, "RNNs can generate bounded
hierarchical languages with optimal memory")."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from glasscell.errors import InputError
from glasscell.tasks.classic.legal_next import LegalNext
from glasscell.tasks.generated import Batch

SYMBOLS = ("(", "[", ")", "]")  # what may come next: these, or the end
START = len(SYMBOLS)
END = len(SYMBOLS)


@dataclass(frozen=True)
class Dyck2(LegalNext):
    """Brackets of two kinds, well nested, no deeper than `depth`. What may come next?

    Inputs are (T, B, 5), one-hot: the start, then brackets ( [ ) ]. Targets are (T, B, 5): which of
    the four may come after each, and whether the end may. A bracket may open where fewer than
    `depth` are open; only the one that was opened last may close; the end may come where none is
    open, but not at once. Strings have 1 to (T - 1) / 2 pairs, each number as likely, and of each
    length every string is as likely. Lengths differ.

    Scored by the share of strings told right at every step. Of the steps where a bracket is open,
    `details` says at how many the right one of the two closing brackets has the higher output;
    by chance it is a half.

    Args:
        T: steps of the longest strings, at least 3.
        depth: how many brackets may be open at once.

    Example:
        >>> from glasscell.tasks.classic import Dyck2
        >>> batch = Dyck2(T=13).batch(1, torch.Generator().manual_seed(8))
        >>> read = batch.inputs[1 : batch.lengths[0], 0].argmax(-1)
        >>> "".join("([)]"[k] for k in read)
        '[[[]]]()'
    """

    T: int = 31
    depth: int = 3

    name = "dyck2"
    input_size = len(SYMBOLS) + 1
    output_size = len(SYMBOLS) + 1

    def __post_init__(self) -> None:
        if self.T < 3:
            raise InputError(f"T: expected at least 3 steps, got {self.T}")
        if self.depth < 1:
            raise InputError(f"depth: expected at least 1, got {self.depth}")

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        pairs = torch.randint(1, (self.T - 1) // 2 + 1, (size,), generator=generator)
        lengths = 2 * pairs + 1  # with the start
        T, B, m = int(lengths.max()), size, self.depth
        chance_up = _chance_up((self.T - 1) // 2 * 2, m)
        drawn = torch.rand(T, B, generator=generator, dtype=torch.float64)
        kinds = torch.randint(2, (T, B), generator=generator)
        which = torch.arange(B)
        deep = torch.zeros(B, dtype=torch.int64)  # brackets that are open
        open_ = torch.zeros(m + 1, B, dtype=torch.int64)  # kind of the one at each depth
        read = torch.full((T, B), START)
        depths, last = torch.zeros(T, B, dtype=torch.int64), torch.zeros(T, B, dtype=torch.int64)
        for t in range(1, T):
            left = (lengths - t).clamp(min=0)  # brackets still to come, this one among them
            up = drawn[t] < chance_up[left, deep]
            closing = 2 + open_[deep, which]
            read[t] = torch.where(up, kinds[t], closing)
            deep = (deep + torch.where(up, 1, -1)).clamp(0, m)  # matters within the string only
            open_[deep, which] = torch.where(up, kinds[t], open_[deep, which])
            depths[t], last[t] = deep, open_[deep, which]
        real = torch.arange(T)[:, None] < lengths  # (T, B)
        inputs = F.one_hot(read, self.input_size).float() * real[..., None]
        return Batch(inputs, self._legal(depths, last) * real[..., None], lengths)

    def _legal(self, depths: Tensor, last: Tensor) -> Tensor:
        """(T, B, 5) what may come, from the brackets that are open and the kind of the last."""
        legal = torch.zeros(*depths.shape, self.output_size)
        legal[..., :2] = (depths < self.depth)[..., None]
        for kind in range(2):
            legal[..., 2 + kind] = (depths > 0) & (last == kind)
        legal[1:, :, END] = depths[1:] == 0
        return legal

    def details(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        closes = batch.targets[..., 2:4]  # (T, B, 2)
        is_open = closes.any(-1) & batch.real_steps
        difference = outputs[..., 2] - outputs[..., 3]  # NaN is neither
        right = torch.where(closes[..., 0] > 0, difference > 0, difference < 0)
        share = float(right[is_open].double().mean())
        return {"closing brackets": share, **super().details(outputs, batch)}


@cache
def _chance_up(longest: int, depth: int) -> Tensor:
    """(longest + 1, depth + 1) how likely the next bracket opens, with so many still to come and
    so many open, so that all ways down to the end are as likely: by counting them.

    Ways with r to come from depth d are those with r - 1 from d + 1 and from d - 1.
    """
    ways = torch.zeros(depth + 1, dtype=torch.float64)
    ways[0] = 1
    rows = [torch.zeros(depth + 1, dtype=torch.float64)]
    for _ in range(longest):
        up, down = F.pad(ways[1:], (0, 1)), F.pad(ways[:-1], (1, 0))
        ways = up + down
        rows.append(torch.where(ways > 0, up / ways.clamp(min=1e-300), 0.0))
        ways = ways / ways.max()  # only their ratios count, and they would grow beyond all numbers
    return torch.stack(rows)
