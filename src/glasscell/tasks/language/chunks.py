"""How a long text is fed to a recurrent network: parallel streams, cut into chunks.

Truncated backpropagation through time as in the language models of the literature (Mikolov et
al. 2010; Zaremba et al. 2014; Merity et al. 2018): the text is laid out as B streams that run
side by side, each a contiguous stretch of it. A step of training reads the next T tokens of every
stream and goes on from the state that the last step left, cut off from its gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Streams:
    """A text of N tokens as B parallel streams in chunks of at most T steps.

    Stream b reads tokens b*S ... (b+1)*S - 1 and predicts the one after each, where
    S = (N - 1) // B; the last (N - 1) % B tokens, fewer than B, are left out. All chunks have
    the same length or one step more.

    Args:
        tokens: ids (N,), any integer type.
        streams: B.
        chunk: T.
    """

    def __init__(self, tokens: Tensor, *, streams: int, chunk: int) -> None:
        if streams < 1 or chunk < 1:
            raise ValueError(f"streams, chunk: expected at least 1, got {streams}, {chunk}")
        steps = (len(tokens) - 1) // streams
        if steps < 1:
            raise ValueError(
                f"tokens: expected at least {streams + 1} for {streams} streams, got {len(tokens)}"
            )
        used = streams * steps
        self.inputs = tokens[:used].view(streams, steps).t().contiguous()  # (S, B)
        self.targets = tokens[1 : used + 1].view(streams, steps).t().contiguous()  # (S, B)
        self.steps = steps
        self.chunks = -(-steps // chunk)

    def __len__(self) -> int:
        """The number of chunks in one pass over the text."""
        return self.chunks

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets (T, B), int64, of chunk k."""
        if not 0 <= k < self.chunks:
            raise IndexError(k)
        start, stop = k * self.steps // self.chunks, (k + 1) * self.steps // self.chunks
        return self.inputs[start:stop].long(), self.targets[start:stop].long()

    @property
    def predictions(self) -> int:
        """How many tokens one pass predicts: S * B."""
        return self.inputs.numel()

    def share(self, rank: int, world: int) -> Streams:
        """The streams that process `rank` of `world` reads: every world-th of them."""
        part = object.__new__(Streams)
        part.inputs = self.inputs[:, rank::world].contiguous()
        part.targets = self.targets[:, rank::world].contiguous()
        part.steps, part.chunks = self.steps, self.chunks
        return part

    def to(self, device: torch.device) -> Streams:
        """The same, on another device."""
        part = self.share(0, 1)
        part.inputs, part.targets = self.inputs.to(device), self.targets.to(device)
        return part


def fitting_streams(n_tokens: int, *, wanted: int, chunk: int, multiple_of: int = 1) -> int:
    """As many streams as wanted, or fewer where a short text would leave them nearly empty.

    Each stream should hold at least one whole chunk: short streams would start from an empty
    state all the time.
    """
    room = max(1, (n_tokens - 1) // chunk)
    streams = max(multiple_of, min(wanted, room))
    return streams - streams % multiple_of
