"""The carried state of a run over several processes.

Process r of W reads streams r, r + W, r + 2W, ... of the text. A checkpoint holds the states of all
streams in their own order, so it does not depend on how many processes wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    import lightning.pytorch as pl


def gather_states(module: pl.LightningModule, own: tuple[Tensor, ...]) -> list[Tensor]:
    """The states (L, B, H) of all streams from each process's own (L, B/W, H), on the CPU."""
    if module.trainer.world_size == 1:
        return [s.detach().cpu().clone() for s in own]
    gathered = []
    for s in own:
        every = module.all_gather(s.contiguous())  # (W, L, B/W, H)
        assert isinstance(every, Tensor)
        gathered.append(every.permute(1, 2, 0, 3).flatten(1, 2).cpu())  # stream r + W j
    return gathered


def gather_rows(module: pl.LightningModule, own: Tensor) -> Tensor:
    """Each process's own tensor (N,) as one (W, N), on the CPU."""
    every = module.all_gather(own.to(module.device))
    assert isinstance(every, Tensor)
    return every.view(-1, len(own)).cpu()


def own_states(states: tuple[Tensor, ...], rank: int, world: int) -> tuple[Tensor, ...]:
    """A process's share of the states of all streams."""
    return tuple(s[:, rank::world].contiguous() for s in states)
