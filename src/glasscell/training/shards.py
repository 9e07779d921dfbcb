"""What each process of a run has for itself, gathered for a checkpoint that has it all.

Process r of W reads streams r, r + W, r + 2W, ... of the text. A checkpoint holds the states of all
streams in their own order, so it does not depend on how many processes wrote it.
"""

from __future__ import annotations

from typing import Any

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


def gather_generators(device: torch.device, world: int) -> dict[str, Any]:
    """The state of every process's random generators, by kind of device, on the CPU."""
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = torch.get_device_module(device).get_rng_state()
    return {kind: gather(state.to(device), world).cpu() for kind, state in states.items()}


def restore_generators(saved: dict[str, Any], rank: int, device: torch.device) -> None:
    """Sets a process's random generators to what `gather_generators` gave."""
    if rank >= len(saved["cpu"]):  # more processes than before: these begin afresh
        torch.manual_seed(rank)
        return
    torch.set_rng_state(saved["cpu"][rank].clone())  # it misreads a view into a larger tensor
    if device.type != "cpu" and device.type in saved:
        torch.get_device_module(device).set_rng_state(saved[device.type][rank].clone())


def gather(own: Tensor, world: int) -> Tensor:
    """Each process's own tensor (...) as one (W, ...); all processes must ask for it."""
    if world == 1:
        return own.unsqueeze(0)
    parts = [torch.empty_like(own) for _ in range(world)]
    dist.all_gather(parts, own)
    return torch.stack(parts)
