"""What a run is computed on: Lightning's own names, all of them."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Hardware:
    """Where and how Lightning runs the training.

    Attributes:
        accelerator: "auto", "cpu", "gpu", "mps", ...
        devices: how many, or which ("0,2").
        strategy: how several devices work together: "auto", "ddp", "fsdp", ...
        precision: "32-true", "bf16-mixed", "16-mixed", "64-true", ...
        nodes: how many machines.
    """

    accelerator: str = "auto"
    devices: int | str = 1
    strategy: str = "auto"
    precision: str = "32-true"
    nodes: int = 1


def is_helper_process() -> bool:
    """Whether Lightning started this process to help with another's run; it writes nothing."""
    return any(int(os.environ.get(name) or 0) > 0 for name in ("LOCAL_RANK", "NODE_RANK"))
