"""The engines under test and what each can run. A new engine is one more row."""

from dataclasses import dataclass

import torch
from tests.cells.zoo import SUBJECTS


@dataclass(frozen=True)
class EngineUnderTest:
    name: str
    subjects: tuple[str, ...]  # names of cells in the zoo that it can run
    devices: tuple[str, ...] = ("cpu", "cuda")


PLAIN = tuple(name for name in SUBJECTS if "peephole" not in name)

ENGINES = (
    EngineUnderTest("reference", tuple(SUBJECTS)),
    EngineUnderTest("torch", PLAIN),
)

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
