"""A torch.nn.LSTM or GRU as an ONNX model of one operator, for the runtimes that read ONNX."""

from __future__ import annotations

from torch import nn

from glasscell.interchange.onnx_operator import operator_of
from glasscell.interchange.onnx_package import IR, OPSET
from glasscell.interchange.stack import stack_of
from glasscell.interchange.torch_layers import from_torch

OUTPUTS = {"LSTM": ("output", "h_n", "c_n"), "GRU": ("output", "h_n")}


def onnx_model(layer: nn.LSTM | nn.GRU, T: int, B: int) -> bytes:
    """The model, for one shape of input: "x" (T, B, I) to the names in `OUTPUTS`.

    Its outputs are ONNX's: "output" (T, 1, B, H), h_n and c_n (1, B, H). The initial states are
    zeros, so they are not inputs, and nothing but the operator is there to take time.
    `glasscell.to_onnx` writes models for use.

    Raises:
        ValueError: a layer that is not one plain layer in one direction with biases.
    """
    from onnx import TensorProto, helper, numpy_helper

    if layer.num_layers > 1 or layer.bidirectional or layer.proj_size or not layer.bias:
        raise ValueError(f"layer: expected one plain layer with biases, got {layer}")
    stack = stack_of(from_torch(layer).float())
    operator = operator_of(stack.cell, stack.weights[0])
    inputs, outputs = ["x", *operator.weights], list(OUTPUTS[operator.kind])
    node = helper.make_node(operator.kind, inputs, outputs, **operator.attributes)
    shapes = [[T, 1, B, stack.H], *([1, B, stack.H] for _ in outputs[1:])]
    graph = helper.make_graph(
        [node],
        operator.kind,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [T, B, stack.input_size])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in zip(outputs, shapes, strict=True)
        ],
        [numpy_helper.from_array(array, name) for name, array in operator.weights.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR)
    return model.SerializeToString()
