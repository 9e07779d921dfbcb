"""Layers that others wrote, given weights in our layout: ONNX's reference evaluator and Runtime.

ONNX orders the LSTM's gates i o f g, its peepholes i o f, and the GRU's gates z r n.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

Array = np.ndarray
ORDERS = {"LSTM": ("ifgo", "iofg"), "GRU": ("rzn", "zrn")}
EVALUATE, RUNTIME = "onnx", "onnxruntime"


def onnx_layer(
    operator: str,
    x: Array,
    initial: Mapping[str, Array],
    w: Mapping[str, Array],
    program: str = EVALUATE,
    **attributes: Any,
) -> Array:
    """h of every step, (T, B, H).

    Args:
        operator: "LSTM" or "GRU".
        x: (T, B, I).
        initial: h and, for an LSTM, c, (B, H).
        w: W (G*H, I), U (G*H, H), b_x and b_h (G*H,), and p (3, H) of i, f and o.
        program: ONNX's reference evaluator in float64, or ONNX Runtime in float32.
        attributes: of the operator.
    """
    ours, theirs = ORDERS[operator]
    H = w["U"].shape[1]
    dtype = np.float64 if program == EVALUATE else np.float32

    def reordered(a: Array) -> Array:
        return np.concatenate([a[ours.index(k) * H :][:H] for k in theirs])

    feeds = {
        "X": x,
        "W": reordered(w["W"])[None],
        "R": reordered(w["U"])[None],
        "B": np.concatenate([reordered(w["b_x"]), reordered(w["b_h"])])[None],
        "initial_h": initial["h"][None],
    }
    inputs = ["X", "W", "R", "B", "", "initial_h"]
    if operator == "LSTM":
        i, f, o = w.get("p", np.zeros((3, H)))
        feeds |= {"initial_c": initial["c"][None], "P": np.concatenate([i, o, f])[None]}
        inputs += ["initial_c", "P"]
    feeds = {name: np.ascontiguousarray(a, dtype) for name, a in feeds.items()}
    kind = TensorProto.DOUBLE if program == EVALUATE else TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["Y"], hidden_size=H, **attributes)],
        "one_layer",
        [helper.make_tensor_value_info(n, kind, a.shape) for n, a in feeds.items()],
        [helper.make_tensor_value_info("Y", kind, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    y = in_evaluator(model, feeds) if program == EVALUATE else in_runtime(model, feeds)
    return y[:, 0]


def in_evaluator(model: onnx.ModelProto, feeds: dict[str, Array]) -> Any:
    outputs: Any = ReferenceEvaluator(model).run(None, feeds)
    return outputs[0]


def in_runtime(model: onnx.ModelProto, feeds: dict[str, Array]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)[0]
