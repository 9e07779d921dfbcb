"""Edits as a layer's caller names them, by unit, step and sequence; and as engines run them."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from glasscell.engines import RunEdit
from glasscell.engines.packed import version
from glasscell.errors import InputError
from glasscell.nn.indices import (
    Index,
    chosen,
    chosen_of,
    counts_from_the_end,
    includes,
    is_sorted,
    numbers_of,
    place_among,
)
from glasscell.nn.layout import Layout

Way = Literal["set", "scale", "add"]


@dataclass(frozen=True, eq=False)
class LayerEdit:
    """What is changed of one quantity of a layer in one direction.

    Attributes:
        quantity: its name, "forget_gate".
        way: "set", "scale" or "add".
        value: the number, or a tensor that broadcasts to (steps, batch, units) in the layer's own
            layout. Along each of the three it holds one number, one for each that is chosen, or
            one for each that there is.
        units, steps, batch: which are changed; all if None. A negative step counts from each
            sequence's own end.
    """

    quantity: str
    way: Way
    value: float | Tensor
    units: Index = None
    steps: Index = None
    batch: Index = None
    # the last run's, which most often is the next one's too
    _kept: list[tuple[tuple, RunEdit | None]] = field(default_factory=list, init=False, repr=False)

    def over(self, layout: Layout, width: int, like: Tensor) -> RunEdit | None:
        """The edit of a run over sequences that lie so; None where it touches no token.

        Args:
            width: H, or P for a hidden state.
            like: has the dtype and device of the run.
        """
        value = self.value
        if _is_run_apart() or (
            isinstance(value, Tensor) and (value.requires_grad or value.is_inference())
        ):
            # each run has a graph of its own; and an inference tensor does not say if it changed
            return self._over(layout, width, like)
        written = version(value) if isinstance(value, Tensor) else 0
        key = (layout, width, like.dtype, like.device, written)
        if not (self._kept and self._kept[0][0][0] is layout and self._kept[0][0][1:] == key[1:]):
            self._kept[:] = [(key, self._over(layout, width, like))]
        return self._kept[0][1]

    def _over(self, layout: Layout, width: int, like: Tensor) -> RunEdit | None:
        T, B = layout.T, layout.packing.B
        batch = chosen(self.batch, B, "batch")
        t, k, b, m = self._places(layout, batch)  # (S,) each
        tokens = token_places(layout)[t, b]
        real = tokens >= 0
        if not bool(real.any()):
            return None
        units = chosen(self.units, width, "units")
        value = self._value(layout, like)  # up to (steps, batch, units)
        steps = _count(self.steps, layout)
        at_steps = picked(value, 0, t, k, T, steps, is_sorted(self.steps), "steps")
        at_batch = picked(value, 1, b, m, B, len(batch), is_sorted(self.batch), "batch")
        among = torch.arange(len(units))
        sorted_units = is_sorted(self.units)
        at_units = picked(value, 2, units, among, width, len(units), sorted_units, "units")
        same = value.shape[0] == value.shape[1] == 1
        if same:
            of_rows = value[0, 0, at_units].unsqueeze(0)  # (1, units)
            rows_of_tokens = torch.zeros(int(real.sum()), dtype=torch.int64)
        else:
            of_rows = value[at_steps[real], at_batch[real]][:, at_units]  # (tokens, units)
            rows_of_tokens = torch.arange(len(of_rows))
        rows = torch.full((layout.packing.N,), -1)
        rows[tokens[real]] = rows_of_tokens
        return self._tables(rows, of_rows, units, width, like)

    def at_step(self, step: int, layout: Layout, width: int, like: Tensor) -> RunEdit | None:
        """The same for a run of step number `step` alone, of sequences whose end is not known."""
        if not includes(self.steps, step):
            return None
        value = self.value
        if isinstance(value, Tensor):
            value = self._value(layout, like)
            if len(value) > 1:
                # one for each that is chosen, or one for each there is
                place, n = place_among(self.steps, step)
                at = place if len(value) == n else step
                if at >= len(value):
                    raise InputError(
                        f"{self.way}: expected a value for step {step}, got {len(value)} steps"
                    )
                value = value[at : at + 1]
            if not layout.batched:
                value = value.squeeze(1)
            elif layout.batch_first:
                value = value.transpose(0, 1)
        one = LayerEdit(self.quantity, self.way, value, self.units, None, self.batch)
        return one.over(layout, width, like)

    def _places(self, layout: Layout, batch: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of each chosen place: the step, its place among those chosen, the sequence, and its."""
        if counts_from_the_end(self.steps) and has_other_ends(layout):
            lengths = layout.lengths[batch].tolist()
            _check_some(self.steps, max(lengths, default=0), layout.T)
            places = [
                (t, k, b, m)
                for m, (b, length) in enumerate(zip(batch.tolist(), lengths, strict=True))
                for k, t in chosen_of(self.steps, length)
            ]
            table = torch.tensor(places, dtype=torch.int64).reshape(-1, 4)
            return table[:, 0], table[:, 1], table[:, 2], table[:, 3]
        steps = chosen(self.steps, layout.T, "steps")
        k, m = torch.arange(len(steps)), torch.arange(len(batch))
        grid = torch.cartesian_prod(k, m).reshape(-1, 2)
        return steps[grid[:, 0]], grid[:, 0], batch[grid[:, 1]], grid[:, 1]

    def _value(self, layout: Layout, like: Tensor) -> Tensor:
        """The value as (steps, batch, units), each of them 1 where it is the same for all."""
        value = self.value
        value = value.to(like) if isinstance(value, Tensor) else like.new_tensor(value)
        dims = 3 if layout.batched else 2
        if value.dim() > dims:
            names = ("steps", "batch", "units") if layout.batched else ("steps", "units")
            raise InputError(
                f"{self.way}: expected at most {dims} dimensions, {', '.join(names)} in the "
                f"layer's own order, got {tuple(value.shape)}"
            )
        value = value.reshape(*[1] * (dims - value.dim()), *value.shape)
        if not layout.batched:
            return value.unsqueeze(1)
        return value.transpose(0, 1) if layout.batch_first else value

    def _tables(
        self, rows: Tensor, value: Tensor, units: Tensor, width: int, like: Tensor
    ) -> RunEdit:
        scale = like.new_ones(len(value), width)
        shift = like.new_zeros(len(value), width)
        at = units.to(like.device)
        value = value.expand(len(value), len(units))
        if self.way == "scale":
            scale = scale.index_copy(1, at, value)
        else:
            shift = shift.index_copy(1, at, value)
        if self.way == "set":
            scale = scale.index_fill(1, at, torch.nan)  # replaces
        return RunEdit(self.quantity, rows, scale, shift)


def _is_run_apart() -> bool:
    """Whether what is made now must not be used by other runs."""
    inside = torch._C._functorch.peek_interpreter_stack()  # type: ignore[attr-defined]
    return torch.is_inference_mode_enabled() or inside is not None


def has_other_ends(layout: Layout) -> bool:
    """Whether some sequence ends before the last step of the caller's tensor."""
    return not layout.packing.is_dense or layout.packing.T != layout.T


def picked(
    value: Tensor,
    dim: int,
    positions: Tensor,
    among: Tensor,
    full: int,
    n: int,
    in_order: bool,
    name: str,
) -> Tensor:
    """Where along one dimension of a value the chosen places find theirs."""
    size = value.shape[dim]
    if size == 1:
        return torch.zeros_like(positions)
    if size == full == n and not in_order:
        raise InputError(
            f"value: {size} along the {name} may be one for each chosen or one for each there is, "
            f"in another order; give the {name} in order"
        )
    if size == full:
        return positions
    if size == n:
        return among
    expected = [each for each in dict.fromkeys((1, n, full)) if each > 0]
    raise InputError(
        f"value: expected {' or '.join(map(str, expected))} along the {name}, got {size}"
    )


def token_places(layout: Layout) -> Tensor:
    """(T, B) the packed token of each step of each of the caller's sequences; -1 past its end."""
    T, B, N = layout.T, layout.packing.B, layout.packing.N
    if layout.is_whole or not layout.batched:
        return torch.arange(N).reshape(T, B)
    at = torch.full((T * B,), -1)
    at[layout.rows] = torch.arange(N)
    return at.reshape(B, T).T if layout.batch_first else at.reshape(T, B)


def _count(steps: Index, layout: Layout) -> int:
    """How many steps are chosen; -1 where sequences of different lengths have different ones."""
    if steps is None:
        return layout.T
    if not isinstance(steps, slice):
        return len(numbers_of(steps))
    if not counts_from_the_end(steps):
        return len(range(layout.T)[steps])
    counts = {len(range(length)[steps]) for length in layout.lengths.tolist()}
    return counts.pop() if len(counts) == 1 else -1


def _check_some(steps: Index, longest: int, T: int) -> None:
    """Raises InputError where a step is named that no sequence has."""
    for number in () if steps is None or isinstance(steps, slice) else numbers_of(steps):
        if not -longest <= number < T:
            raise InputError(f"steps: expected {-longest} to {T - 1}, got {number}")
