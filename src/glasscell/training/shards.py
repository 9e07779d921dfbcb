"""What each process of a run has for itself, gathered for a checkpoint that has it all.

Process r of W reads streams r, r + W, r + 2W, ... of the text. A checkpoint holds the states of all
streams in their own order, so it does not depend on how many processes wrote it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch import distributed as dist


def gather_states(own: tuple[Tensor, ...], world: int) -> list[Tensor]:
    """The states (L, B, H) of all streams from each process's own (L, B/W, H), on the CPU."""
    gathered = [gather(s.contiguous(), world) for s in own]  # (W, L, B/W, H) each
    return [every.permute(1, 2, 0, 3).flatten(1, 2).cpu() for every in gathered]  # stream r + W j


def own_states(states: tuple[Tensor, ...], rank: int, world: int) -> tuple[Tensor, ...]:
    """A process's share of the states of all streams."""
    return tuple(s[:, rank::world].contiguous() for s in states)


def gather(own: Tensor, world: int) -> Tensor:
    """Each process's own tensor (...) as one (W, ...); all processes must ask for it."""
    if world == 1:
        return own.unsqueeze(0)
    parts = [torch.empty_like(own) for _ in range(world)]
    dist.all_gather(parts, own)
    return torch.stack(parts)
