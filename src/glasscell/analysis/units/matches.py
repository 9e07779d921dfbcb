"""What a search for a pattern of units found: spans of steps, the best first."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from glasscell.analysis.whole_numbers import whole_number


class LayerUnit(NamedTuple):
    """A unit of a layer; the layer is "" if it is a plain array."""

    layer: str
    unit: int


class Span(NamedTuple):
    """Steps `start` to `stop` - 1 of one sequence."""

    sequence: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Matches:
    """The spans that are most like the chosen one, the best first.

    Attributes:
        chosen: the span that was picked.
        units: the S units that are selected by it.
        sequence: (k,) the sequence of each match.
        start, stop: (k,) its steps, `stop` being the one after the last.
        on: (k, S) which of the units match there.
        overlap: (k,) how many.
        extra: (k,) how many units that are not selected would be, had this span been picked.
        counts: (N,) how many of the units are on at each step of all sequences, one after the
            other; `count_of` has them by sequence.
        lengths: (B,) steps of each sequence.
    """

    chosen: Span
    units: tuple[LayerUnit, ...]
    sequence: Tensor
    start: Tensor
    stop: Tensor
    on: Tensor
    overlap: Tensor
    extra: Tensor
    counts: Tensor
    lengths: Tensor

    @property
    def spans(self) -> list[Span]:
        """The matches, the best first."""
        columns = (self.sequence.tolist(), self.start.tolist(), self.stop.tolist())
        return [Span(*row) for row in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return len(self.sequence)

    def count_of(self, b: int) -> Tensor:
        """(T_b,) how many of the units are on at each step of sequence b."""
        B = len(self.lengths)
        b = whole_number("b", b, -B, B - 1) % B
        first = int(self.lengths[:b].sum())
        return self.counts[first : first + int(self.lengths[b])]
