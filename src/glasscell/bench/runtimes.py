"""Inference runtimes that people deploy LSTMs with: ONNX Runtime and OpenVINO, where installed."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glasscell.bench.agreement import Answer
from glasscell.bench.comparison import Peer
from glasscell.bench.onnx_model import OUTPUTS, onnx_model

Run = Callable[[], list[np.ndarray]]


@dataclass(frozen=True)
class Runtime:
    """One runtime: `load` gives a function that runs a model on x once, with so many threads.

    Attributes:
        package: what must be installed, besides onnx, which writes the model.
        dtypes: what it can compute in; for any other it competes in float32.
    """

    name: str
    package: str
    load: Callable[[bytes, Tensor, int, torch.dtype], Run]
    dtypes: tuple[torch.dtype, ...]

    @property
    def is_installed(self) -> bool:
        return all(importlib.util.find_spec(name) for name in (self.package, "onnx"))

    def peer(self, layer: nn.LSTM | nn.GRU, x: Tensor, dtype: torch.dtype) -> Peer:
        """The runtime on this layer's weights and this input, in as many threads as torch has."""
        runs_in = dtype if dtype in self.dtypes else torch.float32
        T, B, _ = x.shape
        model = onnx_model(layer, T, B)
        run = self.load(model, x.detach().float(), torch.get_num_threads(), runs_in)

        def answer() -> Answer:
            output, *last = (torch.from_numpy(np.array(each)) for each in run())
            names = OUTPUTS[layer.mode][1:]
            return Answer({"output": output[:, 0], **dict(zip(names, last, strict=True))})

        in_other = "" if runs_in == dtype else f" ({str(runs_in).removeprefix('torch.')})"
        return Peer(self.name + in_other, run, answer)


def _onnx_runtime(model: bytes, x: Tensor, threads: int, dtype: torch.dtype) -> Run:
    ort = _imported("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = {"x": x.numpy()}
    return lambda: session.run(None, feeds)


def _openvino(model: bytes, x: Tensor, threads: int, dtype: torch.dtype) -> Run:
    openvino = _imported("openvino")
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Without this it takes bfloat16 for float32 wherever the processor has it.
            "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
        },
    )
    request, feeds, n = compiled.create_infer_request(), {0: x.numpy()}, len(compiled.outputs)

    def run() -> list[np.ndarray]:
        found = request.infer(feeds, share_inputs=True, share_outputs=True)
        return [found[k] for k in range(n)]

    return run


def _imported(package: str) -> Any:
    """Imports a runtime by name: none of them needs to be there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecations among its own dependencies
        return importlib.import_module(package)


RUNTIMES = (
    Runtime("ONNX Runtime", "onnxruntime", _onnx_runtime, (torch.float32,)),
    Runtime("OpenVINO", "openvino", _openvino, (torch.float32, torch.bfloat16)),
)


def installed() -> list[Runtime]:
    """The runtimes that can compete here."""
    return [runtime for runtime in RUNTIMES if runtime.is_installed]


def missing() -> list[str]:
    """The names of those that cannot."""
    return [runtime.name for runtime in RUNTIMES if not runtime.is_installed]
