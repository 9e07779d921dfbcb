"""What a run is computed on: Lightning's own names, all of them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from glasscell.errors import UserError


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
    return max(_rank("LOCAL_RANK"), _rank("NODE_RANK")) > 0


def _rank(name: str) -> int:
    value = os.environ.get(name) or "0"
    if not value.isdecimal():
        raise UserError(f"{name}, in the environment: expected a whole number, got {value!r}")
    return int(value)
