"""The machine: what it is, and how fast it multiplies matrices at best."""

import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch


def describe() -> str:
    """Processor, threads and versions, in one line."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0].split(":")[1].strip() if models else name
    capability = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    return f"{name}, {capability}, {threads} threads, torch {torch.__version__}"


def product_peak(n: int = 2048, turns: int = 12) -> float:
    """FLOP/s of the fastest float32 product of two (n, n) matrices that torch has here."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    routes: list[Callable[[], object]] = [lambda: a @ b]
    if torch.backends.mkldnn.is_available():
        routes.append(lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""))
    best = float("inf")
    with torch.no_grad():
        for route in routes:
            for _ in range(turns):
                start = time.perf_counter()
                route()
                best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best
