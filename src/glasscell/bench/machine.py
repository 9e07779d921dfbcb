"""The machine: what it is, and how fast it multiplies matrices at best."""

import functools
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("glasscell", "torch", "onnx", "onnxruntime", "openvino", "numpy")
SETTINGS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def describe() -> dict[str, Any]:
    """Processor, threads, load and versions."""
    return {
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions(),
        "environment": {name: os.environ[name] for name in SETTINGS if name in os.environ},
    }


def versions() -> dict[str, str]:
    """Of the packages that compete, those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@functools.cache
def product_peak(dtype: torch.dtype, threads: int, n: int = 2048, turns: int = 8) -> float:
    """FLOP/s of the fastest product of two (n, n) matrices that torch has here. Measured once."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            return 2 * n**3 / min(_seconds(route, turns) for route in _routes(dtype, n))
    finally:
        torch.set_num_threads(before)


def _routes(dtype: torch.dtype, n: int) -> list[Callable[[], object]]:
    a, b = torch.randn(n, n).to(dtype), torch.randn(n, n).to(dtype)
    routes: list[Callable[[], object]] = [lambda: a @ b]
    if torch.backends.mkldnn.is_available() and dtype != torch.float64:
        routes.append(lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""))
    return routes


def _seconds(route: Callable[[], object], turns: int) -> float:
    best = float("inf")
    for _ in range(turns):
        start = time.perf_counter()
        route()
        best = min(best, time.perf_counter() - start)
    return best
