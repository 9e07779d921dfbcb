"""The engines under test and what each can run. A new engine is one more row."""

from dataclasses import dataclass

import pytest
import torch
from tests.cells.zoo import SUBJECTS

from glasscell.engines.native import kernels


@dataclass(frozen=True)
class EngineUnderTest:
    name: str
    subjects: tuple[str, ...]  # names of cells in the zoo that it can run
    devices: tuple[str, ...] = ("cpu", "cuda")
    dtypes: tuple[torch.dtype, ...] = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


PLAIN = tuple(name for name in SUBJECTS if "peephole" not in name)

NATIVE = EngineUnderTest(
    "native",
    tuple(SUBJECTS),
    devices=("cpu",),
    dtypes=(torch.float64, torch.float32, torch.bfloat16),
)

# It runs cells whose gates read no hidden state, and so none of the zoo: `test_scan.py` has them.
SCAN = EngineUnderTest("scan", ())

# The native engine is under test where its kernels were compiled.
ENGINES = (
    *((NATIVE,) if kernels() else ()),
    EngineUnderTest("reference", tuple(SUBJECTS)),
    EngineUnderTest("torch", PLAIN),
)
NAMES = tuple(engine.name for engine in ENGINES)
NEEDS_KERNELS = pytest.mark.skipif(not kernels(), reason="the kernels were not compiled")

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
