"""ONNX's reference evaluator as an oracle for LSTM (peepholes too), GRU and RNN.

ONNX orders the LSTM's gates i o f c, its peepholes i o f, and the GRU's gates z r h. The evaluator
takes no notice of `sequence_lens`, so ragged batches are given to it sequence by sequence.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from tests.cells.equations import Model

OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}


def evaluate(
    models: list[Model], x: np.ndarray, h_0: np.ndarray, c_0: np.ndarray | None, direction: str
) -> list[np.ndarray]:
    """One layer, "forward", "reverse" or "bidirectional", as float64.

    Args:
        models: one for each direction.
        x: (T, B, I); h_0 and c_0 (D, B, H).
    Returns:
        y (T, D, B, H), h_n (D, B, H) and for an LSTM c_n (D, B, H).
    """
    kind = models[0].kind
    H = models[0].U.shape[1]

    def reordered(weights: np.ndarray) -> np.ndarray:
        return np.concatenate([weights[k * H : (k + 1) * H] for k in ORDER[kind]])

    def biases(model: Model) -> np.ndarray:
        zeros = np.zeros(model.U.shape[0])
        b_x, b_h = (zeros if b is None else b for b in (model.b_x, model.b_h))
        return np.concatenate([reordered(b_x), reordered(b_h)])

    feeds: dict[str, Any] = {
        "X": x,
        "W": np.stack([reordered(model.W) for model in models]),
        "R": np.stack([reordered(model.U) for model in models]),
        "B": np.stack([biases(model) for model in models]),
        "initial_h": h_0,
    }
    inputs = ["X", "W", "R", "B", "", "initial_h"]
    outputs = ["Y", "Y_h"]
    attributes: dict[str, Any] = {"hidden_size": H, "direction": direction}
    if kind == "gru":
        attributes["linear_before_reset"] = 1
    if kind == "lstm":
        zeros = np.zeros(H)
        peepholes = [[model.p.get(letter, zeros) for letter in "iof"] for model in models]
        feeds |= {"initial_c": c_0, "P": np.stack([np.concatenate(p) for p in peepholes])}
        inputs += ["initial_c", "P"]
        outputs.append("Y_c")
    node = helper.make_node(OPERATORS[kind], inputs, outputs, **attributes)
    graph = helper.make_graph(
        [node],
        "one_layer",
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, a.shape) for n, a in feeds.items()],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)])
    return ReferenceEvaluator(model).run(None, feeds)  # type: ignore[return-value]
