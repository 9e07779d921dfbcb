"""What `import glasscell` adds to `import torch`."""

import statistics
import subprocess
import sys

PROGRAM = """
import time
import torch
start = time.perf_counter()
import glasscell
glasscell.LSTM, glasscell.trace, glasscell.load  # names are imported when they are asked for
print(time.perf_counter() - start)
"""


def seconds_beyond_torch(runs: int = 7) -> float:
    """Median over fresh processes."""

    def once() -> float:
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
        )
        return float(run.stdout)

    return statistics.median(once() for _ in range(runs))
