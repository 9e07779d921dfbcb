"""What `import glasscell` adds to `import torch`."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from glasscell.bench.comparison import Row, Times
from glasscell.bench.scale import Scale

PROGRAM = """
import time
import torch
start = time.perf_counter()
import glasscell
glasscell.LSTM, glasscell.trace, glasscell.load  # names are imported when they are asked for
print(time.perf_counter() - start)
"""


def beyond_torch(scale: Scale) -> Iterator["Import"]:
    """Fresh processes, each of which imports all that is used from Python."""
    yield Import(processes=scale.rounds)


@dataclass(frozen=True)
class Import:
    """One import in each of several fresh processes."""

    processes: int
    case: str = "import glasscell, beyond torch"

    def measure(self, budget: float, rounds: int) -> Row:
        return Row(self.case, {"glasscell": Times.of([_once() for _ in range(self.processes)])})


def _once() -> float:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    return float(run.stdout)
