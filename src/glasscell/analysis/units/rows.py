"""The steps of many sequences as rows: all steps of the first sequence, then of the second, ..."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from glasscell.errors import InputError
from glasscell.tracing import LayerTrace

CHUNK = 1 << 24  # numbers read at a time
PIECE = 1 << 20  # and where they are only looked at: so many stay in the cache
TURN = 1 << 14  # rows at a time whose units are laid out one after the other
ALL = slice(None)


@dataclass(frozen=True, eq=False)
class Rows:
    """N steps of H units; row n is a step of one of B sequences, which lie one after the other.

    Attributes:
        name: the layer's name, or "" for a plain array.
        quantity: what the numbers are: "cell", ...; "" for a plain array.
        values: (N, H) as they are stored; an array may be a memory map and is read in pieces.
        places: (N,) where in `values` each row lies; None if they lie in order.
        lengths: (B,) steps of each sequence.
        layer: the layer they come from, if they come from one.
    """

    name: str
    quantity: str
    values: Tensor | np.ndarray
    places: np.ndarray | None
    lengths: np.ndarray
    layer: LayerTrace | None = None

    @property
    def N(self) -> int:
        return self.values.shape[0]

    @property
    def H(self) -> int:
        return self.values.shape[1]

    @property
    def B(self) -> int:
        return len(self.lengths)

    @cached_property
    def offsets(self) -> np.ndarray:
        """(B + 1,) the first row of each sequence, and N at the end."""
        return np.concatenate(([0], np.cumsum(self.lengths)))

    @property
    def is_double(self) -> bool:
        """Whether the numbers have more digits than float32 holds."""
        return str(self.values.dtype).endswith(("float64", "int64", "int32"))

    def read(self, part: slice | np.ndarray, units: slice = ALL) -> Tensor:
        """Some of the stored values, by place, on the CPU: (n, H) float32, or float64 if stored
        so.
        """
        return self._in_float(self._stored(part, units))

    def _stored(self, part: slice | np.ndarray, units: slice = ALL) -> Tensor:
        if isinstance(self.values, Tensor):
            index = torch.from_numpy(part) if isinstance(part, np.ndarray) else part
            return self.values.detach()[:, units][index]
        # A copy: what torch makes of a read-only map is not to be written to.
        return torch.from_numpy(np.array(self.values[:, units][part]))

    def _in_float(self, piece: Tensor) -> Tensor:
        piece = piece.cpu()
        return piece.double() if self.is_double else piece.float()

    def pieces(self, units: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """All stored values of some units, in the order in which they lie, some rows at a time."""
        rows = max(1, PIECE // self.H)
        for first in range(0, self.N, rows):
            part = slice(first, min(first + rows, self.N))
            piece = self._stored(part)
            if len(units) < self.H:
                piece = piece.index_select(1, units.to(piece.device))
            yield part, self._in_float(piece)

    def columns(self, units: slice, rows: np.ndarray) -> np.ndarray:
        """(U, n) some units, each in one piece, over the rows named."""
        width = len(range(*units.indices(self.H)))
        out = np.empty((width, len(rows)), dtype=np.float64 if self.is_double else np.float32)
        places = self.at(rows)
        stored = _as_array(self.values)

        def turn(first: int) -> None:
            into, part = out[:, first : first + TURN], places[first : first + TURN]
            if stored is None:
                into[:] = self.read(part, units).numpy().T
            elif (np.diff(part) == 1).all():
                into[:] = stored[part[0] : part[-1] + 1, units].T
            else:
                into[:] = stored[:, units][part].T

        # Blocks small enough to be turned within the cache, and threads that do not wait for one
        # another.
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            list(threads.map(turn, range(0, len(rows), TURN)))
        return out

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Where some rows lie in `values`."""
        return rows if self.places is None else self.places[rows]


def rows_of(
    steps: LayerTrace | Tensor | np.ndarray,
    quantity: str | None = None,
    lengths: Tensor | Sequence[int] | None = None,
) -> Rows:
    """The real steps of a recorded layer, or of a plain (N, H) array, as rows.

    Args:
        steps: a recorded layer; or (N, H) numbers, the steps of one sequence or of several, one
            after the other.
        quantity: of a recorded layer; its state if absent.
        lengths: (B,) of a plain array, how many rows each sequence has; one sequence if absent.
    """
    if isinstance(steps, LayerTrace):
        if lengths is not None:
            raise InputError(f"lengths: expected none, as {steps.name} knows its own")
        quantity = steps.definition.state if quantity is None else quantity
        values = steps.tokens(quantity)
        return Rows(steps.name, quantity, values, _places(steps), steps.lengths.numpy(), steps)
    if not isinstance(steps, Tensor | np.ndarray):
        raise InputError(
            f"steps: expected a recorded layer or an (N, H) array, got {type(steps).__name__}"
        )
    if quantity is not None:
        raise InputError("quantity: expected none, as a plain array holds one quantity")
    if steps.ndim != 2 or 0 in steps.shape:
        raise InputError(f"steps: expected (N, H), at least one of each, got {tuple(steps.shape)}")
    N = steps.shape[0]
    sizes = np.asarray([N] if lengths is None else lengths)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 1).any() or sizes.sum() != N:
        raise InputError(
            f"lengths: expected whole numbers from 1 that sum to the {N} steps, got {lengths}"
        )
    return Rows("", "", steps, None, sizes.astype(np.int64))


def laid_out(rows: Rows, values: object, argument: str) -> np.ndarray:
    """(N,) one number for each row, from any of the layouts in which callers have them.

    Args:
        rows: whose steps they belong to.
        values: as the layer's own tensors, without the units: (T, B), (B, T) with batch_first,
            (T,) for a single sequence; or (N,) packed tokens; or a list with one (T_b,) for each
            sequence. For a plain array: (N,), or such a list.
        argument: how the caller calls them.
    """
    if isinstance(values, list | tuple) and len(values) and np.ndim(_array(values[0])) == 1:
        pieces = [_array(value) for value in values]
        sizes = [len(piece) if piece.ndim == 1 else -1 for piece in pieces]
        if sizes != rows.lengths.tolist():
            raise InputError(
                f"{argument}: expected {rows.B} sequences of {_some(rows.lengths.tolist())} "
                f"steps, got {len(sizes)} of {_some(sizes)}"
            )
        return np.concatenate(pieces)
    array = _array(values)
    layer = rows.layer
    if array.shape == (rows.N,):  # tokens, as they lie in the layer's record
        return array if rows.places is None else array[rows.places]
    if layer is not None and layer.layout.batched:
        T, B = layer.layout.T, rows.B
        shape = (B, T) if layer.layout.batch_first else (T, B)
        if array.shape == shape:
            tokens = layer.layout.tokens(torch.from_numpy(array)[..., None])[:, 0].numpy()
            return tokens if rows.places is None else tokens[rows.places]
        expected = f"{shape}, or ({rows.N},) packed tokens, or a list of {B} sequences"
    else:
        expected = f"({rows.N},), one for each step"
    raise InputError(f"{argument}: expected {expected}, got {array.shape}")


def _as_array(values: Tensor | np.ndarray) -> np.ndarray | None:
    """The same memory as an array, if it can be one."""
    if isinstance(values, np.ndarray):
        return values
    can = values.device.type == "cpu" and values.dtype != torch.bfloat16
    return values.detach().numpy() if can else None


def _array(values: object) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.double() if values.dtype == torch.bfloat16 else values
        return values.numpy()
    return np.array(values)  # a copy, as maps may be read-only


def _some(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes[:4])) + (", ..." if len(sizes) > 4 else "")


def _places(layer: LayerTrace) -> np.ndarray | None:
    """(N,) the packed token of each step, sequence by sequence in the caller's order."""
    layout = layer.layout
    if layout.packing.B == 1:
        return None
    _, b = layout.packing.step_and_sequence()
    if layout.order is not None:
        b = layout.order.cpu()[b]
    return np.argsort(b.numpy(), kind="stable")  # tokens lie in order of their steps
