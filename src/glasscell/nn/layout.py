"""How a caller's sequences lie, and the way to packed tokens and back.

Callers give (T, B, I), (B, T, I), (T, I), a `PackedSequence`, or padded sequences with their
lengths; engines know packed tokens only. A `Layout` remembers which it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from glasscell.engines import Packing
from glasscell.errors import InputError


@dataclass(frozen=True)
class Layout:
    """Where each packed token belongs in the caller's tensor.

    Attributes:
        packing: the tokens' own layout.
        batch_first: whether padded tensors are (B, T, ...) and not (T, B, ...).
        batched: False for a single sequence given as (T, I).
        T: steps of the padded tensor; at least the longest length.
        order: (B,) the caller's place of each sequence, longest first; None if already so.
    """

    packing: Packing
    batch_first: bool = False
    batched: bool = True
    T: int = 0
    order: Tensor | None = None

    @property
    def lengths(self) -> Tensor:
        """(B,) real tokens of each sequence, in the caller's order, on the CPU."""
        lengths = self.packing.lengths
        return lengths if self.inverse is None else lengths[self.inverse.cpu()]

    @cached_property
    def inverse(self) -> Tensor | None:
        """(B,) the packed place of each of the caller's sequences."""
        return None if self.order is None else torch.argsort(self.order)

    @cached_property
    def rows(self) -> Tensor:
        """(N,) the row of each token in the padded tensor, flattened over steps and batch."""
        t, b = self.packing.step_and_sequence()
        if self.order is not None:
            b = self.order.cpu()[b]
        return b * self.T + t if self.batch_first else t * self.packing.B + b

    def tokens(self, padded: Tensor) -> Tensor:
        """The real tokens of a padded tensor: (T, B, F) or the caller's layout -> (N, F)."""
        if not self.batched:
            return padded
        if self.is_whole:
            return (padded.transpose(0, 1) if self.batch_first else padded).flatten(0, 1)
        return padded.flatten(0, 1).index_select(0, self.rows.to(padded.device))

    def padded(self, tokens: Tensor) -> Tensor:
        """(N, ...) tokens in the caller's layout, zeros after each sequence's end."""
        T, B, rest = self.T, self.packing.B, tokens.shape[1:]
        if not self.batched:
            return tokens
        if self.is_whole:
            steps_first = tokens.view(T, B, *rest)
            return steps_first.transpose(0, 1) if self.batch_first else steps_first
        zeros = tokens.new_zeros(T * B, *rest)
        padded = zeros.index_copy(0, self.rows.to(tokens.device), tokens)
        return padded.unflatten(0, (B, T) if self.batch_first else (T, B))

    @cached_property
    def is_whole(self) -> bool:
        """Whether the padded tensor holds nothing but real tokens, in their packed order."""
        return self.packing.is_dense and self.packing.T == self.T and self.order is None

    def sorted_states(self, states: Tensor) -> Tensor:
        """(..., B, H) in the caller's order -> longest sequence first."""
        return states if self.order is None else states.index_select(-2, self.order)

    def callers_states(self, states: Tensor) -> Tensor:
        """(..., B, H) longest sequence first -> the caller's order."""
        if self.inverse is None:
            return states
        return states.index_select(-2, self.inverse.to(states.device))


def read_packed(sequence: PackedSequence, batch_first: bool) -> tuple[Layout, Tensor]:
    """The layout and the (N, I) tokens of a `PackedSequence`."""
    sizes = tuple(sequence.batch_sizes.tolist())
    return (
        Layout(
            Packing(sizes),
            batch_first=batch_first,
            T=len(sizes),
            order=sequence.sorted_indices,
        ),
        sequence.data,
    )


def read_padded(
    input: Tensor, batch_first: bool, lengths: Tensor | Sequence[int] | None
) -> tuple[Layout, Tensor]:
    """The layout and the (N, I) tokens of a padded batch (T, B, I) or (B, T, I), or of (T, I).

    Raises:
        InputError: lengths of the wrong count, below 1 or beyond the input.
        TypeError: lengths that are not whole numbers.
    """
    batched = input.dim() == 3
    if not batched:
        T, B = input.shape[0], 1
    else:
        T, B = input.shape[1::-1] if batch_first else input.shape[:2]
    if T == 0:
        raise InputError("input: expected a sequence length larger than 0, got 0")
    # a compiler does not see through the cache, and does not need it
    dense = _dense.__wrapped__ if torch.compiler.is_compiling() else _dense
    layout = dense(T, B, batch_first, batched)
    if lengths is not None:
        checked = _check_lengths(lengths, T, B)
        if not bool((checked == T).all()):
            layout = _ragged(checked, T, batch_first, input.device)
    return layout, layout.tokens(input)


@lru_cache(maxsize=256)
def _dense(T: int, B: int, batch_first: bool, batched: bool) -> Layout:
    """Kept, as most calls have the shape of the one before."""
    return Layout(Packing.dense(T, B), batch_first=batch_first, batched=batched, T=T)


def _ragged(lengths: Tensor, T: int, batch_first: bool, device: torch.device) -> Layout:
    ordered, order = torch.sort(lengths, descending=True, stable=True)
    is_sorted = bool((order == torch.arange(len(order))).all())
    return Layout(
        Packing.from_lengths(ordered),
        batch_first=batch_first,
        T=T,
        order=None if is_sorted else order.to(device),
    )


def _check_lengths(lengths: Tensor | Sequence[int], T: int, B: int) -> Tensor:
    try:
        checked = torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"lengths: expected whole numbers, got {lengths!r}") from None
    if checked.numel() == 0:
        checked = checked.long()  # an empty list has no type of its own
    if checked.is_floating_point() or checked.is_complex() or checked.dtype == torch.bool:
        raise TypeError(f"lengths: expected whole numbers, got {checked.dtype}")
    checked = checked.detach().to("cpu", torch.int64)
    if checked.shape != (B,):
        raise InputError(
            f"lengths: expected {B}, one for each sequence of the batch, "
            f"got shape {tuple(checked.shape)}"
        )
    wrong = torch.nonzero((checked < 1) | (checked > T)).flatten().tolist()
    if wrong:
        b = wrong[0]
        raise InputError(
            f"lengths: expected 1 to {T} (the steps of the input), "
            f"got {int(checked[b])} for sequence {b}"
        )
    return checked
