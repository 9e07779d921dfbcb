"""A layer as an ONNX model: one LSTM, GRU or RNN operator for each of its layers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glasscell.errors import InputError
from glasscell.files import write_file
from glasscell.interchange.onnx_operator import INPUTS, operator_of
from glasscell.interchange.onnx_package import IR, OPSET, onnx
from glasscell.interchange.stack import Stack, stack_of
from glasscell.nn import Recurrent

if TYPE_CHECKING:
    from onnx import ModelProto

NUMBERS = {torch.float16: "FLOAT16", torch.float32: "FLOAT", torch.float64: "DOUBLE"}


def to_onnx(
    layer: Recurrent,
    path: str | os.PathLike | None = None,
    *,
    states: bool = True,
    lengths: bool = False,
) -> ModelProto:
    """A layer as an ONNX model that takes any number of steps and sequences.

    Args:
        layer: an LSTM, GRU or RNN of ours. Of the variants ONNX has peepholes, `coupled`, `cifg`,
            `gru_reset_before`, and sigmoid, tanh, relu, identity and hard_sigmoid as squashes.
        path: where the model is written, if anywhere.
        states: whether the model takes the initial states; if not they are zeros.
        lengths: whether the model takes "lengths", int32 (B,), the real tokens of each sequence.

    Returns:
        The model. It takes "input" (T, B, I), or (B, T, I) where the layer has `batch_first`, and
        "h_0" and, for an LSTM, "c_0" (L*D, B, H); and gives "output" (T, B, D*H), or (B, T, D*H),
        "h_n" and "c_n" (L*D, B, H): what the layer takes and gives. Operators of opset 17. What
        acts in training alone, such as dropout, is not in it.

    Raises:
        InputError: a layer or a dtype that ONNX's operators do not have.
        TypeError: no layer of ours.
        ImportError: the onnx package is missing.
        WriteError: the file cannot be written.

    Example:
        >>> model = glasscell.to_onnx(lstm, "lstm.onnx")
        >>> [node.op_type for node in model.graph.node]
        ['LSTM', 'Squeeze']
    """
    stack = stack_of(layer)
    if not isinstance(layer, Recurrent):
        raise InputError(
            f"layer: expected an LSTM, GRU or RNN, got a one-step {type(layer).__name__}; "
            "ONNX's operators run over sequences"
        )
    dtype = stack.first.W.dtype
    if dtype not in NUMBERS:
        raise InputError(f"layer: expected float16, float32 or float64, got {dtype}; .float() it")
    graph = _Graph(stack, layer.batch_first, states, lengths)
    model = graph.model(getattr(onnx().TensorProto, NUMBERS[dtype]))
    if path is not None:
        write_file(Path(path), model.SerializeToString())
    return model


class _Graph:
    """The nodes and constants of a model, as they are added."""

    def __init__(self, stack: Stack, batch_first: bool, states: bool, lengths: bool) -> None:
        self.stack, self.batch_first, self.lengths = stack, batch_first, lengths
        self.names = ("h", "c") if stack.cell.has_cell_state else ("h",)
        self.states = states
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self._build()

    def _add(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(onnx().helper.make_node(kind, inputs, outputs, name, **attributes))

    def _build(self) -> None:
        L, D = self.stack.L, self.stack.D
        x = "input"
        if self.batch_first:
            self._add("Transpose", [x], ["input_steps_first"], perm=[1, 0, 2])
            x = "input_steps_first"
        if self.states and L > 1:
            self.constants["directions"] = np.full(L, D, np.int64)
            for name in self.names:
                parts = [f"{name}_0_l{l}" for l in range(L)]
                self._add("Split", [f"{name}_0", "directions"], parts, axis=0)
        for l in range(L):
            x = self._layer(l, x)
        if self.batch_first:
            self._add("Transpose", [x], ["output"], perm=[1, 0, 2])
        if L > 1:
            for name in self.names:
                parts = [f"{name}_n_l{l}" for l in range(L)]
                self._add("Concat", parts, [f"{name}_n"], axis=0)

    def _layer(self, l: int, x: str) -> str:
        """Adds one layer, and names its output (T, B, D*H)."""
        stack = self.stack
        operator = operator_of(stack.cell, stack.weights[l])
        suffix = "" if stack.L == 1 else f"_l{l}"
        given = {"X": x}
        for name, values in operator.weights.items():
            given[name] = f"{name}_l{l}"
            self.constants[given[name]] = values
        if self.lengths:
            given["sequence_lens"] = "lengths"
        if self.states:
            given |= {f"initial_{name}": f"{name}_0{suffix}" for name in self.names}
        inputs = [given.get(name, "") for name in INPUTS]
        while not inputs[-1]:
            inputs.pop()
        outputs = [f"Y_l{l}", *(f"{name}_n{suffix}" for name in self.names)]  # Y (T, D, B, H)
        self._add(operator.kind, inputs, outputs, **operator.attributes)
        is_last = l == stack.L - 1 and not self.batch_first
        output = "output" if is_last else f"output_l{l}"
        if stack.D == 1:
            self.constants["direction"] = np.array([1], np.int64)
            self._add("Squeeze", [f"Y_l{l}", "direction"], [output])
            return output
        self.constants["side_by_side"] = np.array([0, 0, -1], np.int64)
        self._add("Transpose", [f"Y_l{l}"], [f"Y_l{l}_by_sequence"], perm=[0, 2, 1, 3])
        self._add("Reshape", [f"Y_l{l}_by_sequence", "side_by_side"], [output])
        return output

    def model(self, number: int) -> Any:
        helper, numpy_helper = onnx().helper, onnx().numpy_helper
        stack = self.stack
        steps = ["B", "T"] if self.batch_first else ["T", "B"]
        state = [stack.L * stack.D, "B", stack.H]

        def value(name: str, shape: list, kind: int = number) -> Any:
            return helper.make_tensor_value_info(name, kind, shape)

        inputs = [value("input", [*steps, stack.input_size])]
        if self.states:
            inputs += [value(f"{name}_0", state) for name in self.names]
        if self.lengths:
            inputs.append(value("lengths", ["B"], onnx().TensorProto.INT32))
        outputs = [value("output", [*steps, stack.D * stack.H])]
        outputs += [value(f"{name}_n", state) for name in self.names]
        graph = helper.make_graph(
            self.nodes,
            "glasscell",
            inputs,
            outputs,
            [numpy_helper.from_array(values, name) for name, values in self.constants.items()],
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, opset_imports=[opset], ir_version=IR, producer_name="glasscell"
        )
        onnx().checker.check_model(model, full_check=True)
        return model
