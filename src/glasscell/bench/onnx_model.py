"""A torch.nn.LSTM or GRU as an ONNX model of one operator, for the runtimes that read ONNX.

ONNX orders the LSTM's gates i o f c (c is the candidate g) and the GRU's z r h (h is n); PyTorch
i f g o and r z n.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

OPSET, IR = 17, 10  # of the year that every runtime still in use reads
ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}  # ONNX's gates as numbers of PyTorch's
OUTPUTS = {"LSTM": ("output", "h_n", "c_n"), "GRU": ("output", "h_n")}


def onnx_model(layer: nn.LSTM | nn.GRU, T: int, B: int) -> bytes:
    """The model, for one shape of input: "x" (T, B, I) to the names in `OUTPUTS`.

    Its outputs are ONNX's: "output" (T, 1, B, H), h_n and c_n (1, B, H). The initial states are
    zeros, so they are not inputs.

    Raises:
        ValueError: a layer that is not one plain layer in one direction with biases.
    """
    from onnx import TensorProto, helper, numpy_helper

    if layer.num_layers > 1 or layer.bidirectional or layer.proj_size or not layer.bias:
        raise ValueError(f"layer: expected one plain layer with biases, got {layer}")
    kind, H = layer.mode, layer.hidden_size
    W, U, b_x, b_h = (_reordered(w, ORDER[kind]) for w in layer.all_weights[0])
    weights = {"W": W[None], "R": U[None], "B": np.concatenate((b_x, b_h))[None]}
    # PyTorch's GRU multiplies the reset gate into U_n h + b_n, and not into h.
    attributes: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
    inputs, outputs = ["x", *weights], list(OUTPUTS[kind])
    node = helper.make_node(kind, inputs, outputs, hidden_size=H, **attributes)
    shapes = [[T, 1, B, H], *([1, B, H] for _ in outputs[1:])]
    graph = helper.make_graph(
        [node],
        kind,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [T, B, layer.input_size])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in zip(outputs, shapes, strict=True)
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR)
    return model.SerializeToString()


def _reordered(weight: torch.Tensor, order: tuple[int, ...]) -> np.ndarray:
    """PyTorch's stack of gates in ONNX's order, as float32."""
    gates = weight.detach().float().chunk(len(order))
    return torch.cat([gates[k] for k in order]).numpy()
