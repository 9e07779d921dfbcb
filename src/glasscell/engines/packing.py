"""Packed tokens: how N real tokens of B sequences lie in one (N, ...) tensor.

Time-major, longest sequence first, as in `torch.nn.utils.rnn.PackedSequence`: first the tokens
of step 0 of every sequence, then those of step 1 of every sequence that has a step 1, ... A
dense batch is the case where every step has all B.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """Where each step's tokens are.

    Attributes:
        batch_sizes: for each of the T steps, how many sequences reach it; never increasing.
    """

    batch_sizes: tuple[int, ...]

    @classmethod
    def dense(cls, T: int, B: int) -> "Packing":
        return cls((B,) * T)

    @classmethod
    def from_lengths(cls, lengths: Tensor) -> "Packing":
        """From the (B,) lengths of the sequences, longest first."""
        T = int(lengths[0]) if len(lengths) else 0
        ended = torch.bincount(lengths, minlength=T + 1)[: T + 1].cumsum(0)  # (T+1,) length <= t
        return cls(tuple((len(lengths) - ended[:T]).tolist()))

    @property
    def T(self) -> int:
        return len(self.batch_sizes)

    @property
    def B(self) -> int:
        return self.batch_sizes[0] if self.batch_sizes else 0

    @cached_property
    def N(self) -> int:
        return sum(self.batch_sizes)

    @cached_property
    def is_dense(self) -> bool:
        return self.N == self.T * self.B

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Row of the first token of each step, and N at the end."""
        rows = [0]
        for b in self.batch_sizes:
            rows.append(rows[-1] + b)
        return tuple(rows)

    @cached_property
    def lengths(self) -> Tensor:
        """(B,) tokens in each sequence, longest first, on the CPU."""
        sizes = torch.tensor(self.batch_sizes)
        return (sizes[None, :] > torch.arange(self.B)[:, None]).sum(1)

    def steps(self, reverse: bool = False) -> Iterator[slice]:
        """The rows of each step, in the order in which the recurrence visits them."""
        order = range(self.T - 1, -1, -1) if reverse else range(self.T)
        return (slice(self.offsets[t], self.offsets[t + 1]) for t in order)

    def step_and_sequence(self) -> tuple[Tensor, Tensor]:
        """(N,) the time step, and (N,) the sequence (longest first), of each token."""
        sizes = torch.tensor(self.batch_sizes)
        t = torch.repeat_interleave(torch.arange(self.T), sizes)
        return t, torch.arange(self.N) - torch.tensor(self.offsets)[t]

    def previous(self, states: Tensor, initial: Tensor, reverse: bool = False) -> Tensor:
        """For each token the state that its step started from.

        Args:
            states: (N, H) the state after each token.
            initial: (B, H) the state before the first token of each sequence (with `reverse`,
                before the last, where the recurrence starts).
        Returns:
            (N, H)
        """
        if self.is_dense:
            B = self.B
            pieces = (states[B:], initial) if reverse else (initial, states[: self.N - B])
            return torch.cat(pieces)
        rows = self._previous_reverse if reverse else self._previous_forward
        return torch.cat((initial, states)).index_select(0, rows.to(states.device))

    def last(self, states: Tensor, reverse: bool = False) -> Tensor:
        """(B, H) each sequence's state at the end: after its last step; reversed, its first."""
        if reverse:
            return states[: self.B]
        if self.is_dense:
            return states[self.N - self.B :]
        return states.index_select(0, self._last_rows.to(states.device))

    def with_last(self, d: Tensor | None, d_last: Tensor, reverse: bool = False) -> Tensor:
        """(N, H) dL/d(states) from what a loss puts on them, if anything, and on `last` of them."""
        d = d_last.new_zeros(self.N, *d_last.shape[1:]) if d is None else d.clone()
        if reverse:
            d[: self.B] += d_last
        elif self.is_dense:
            d[self.N - self.B :] += d_last
        else:
            d.index_add_(0, self._last_rows.to(d.device), d_last)
        return d

    @cached_property
    def backwards(self) -> Tensor:
        """(N,) for each token the row of the one as far from the end of the same sequence."""
        t, b = self.step_and_sequence()
        return torch.tensor(self.offsets)[self.lengths[b] - 1 - t] + b

    @cached_property
    def _previous_forward(self) -> Tensor:
        """(N,) rows in cat(initial, states): the same sequence, one step earlier."""
        t, b = self.step_and_sequence()
        offsets = torch.tensor(self.offsets)
        return torch.where(t == 0, b, self.B + offsets[t - 1] + b)

    @cached_property
    def _previous_reverse(self) -> Tensor:
        """(N,) rows in cat(initial, states): the same sequence, one step later."""
        t, b = self.step_and_sequence()
        offsets = torch.tensor(self.offsets)
        is_last = t + 1 == self.lengths[b]
        return torch.where(is_last, b, self.B + offsets[t + 1] + b)

    @cached_property
    def _last_rows(self) -> Tensor:
        """(B,) the row of each sequence's last token."""
        offsets = torch.tensor(self.offsets)
        return offsets[self.lengths - 1] + torch.arange(self.B)
