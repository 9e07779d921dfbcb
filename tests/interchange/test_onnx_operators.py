"""Operators as others write them: what is read, and what is refused with the reason."""

from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from tests.interchange.running import assert_agree, assert_same_layer, layer_of, ran

import glasscell
from glasscell import InputError, cells
from glasscell.cells import LSTM

I, H, T, B = 3, 4, 5, 2
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def weights(kind: str, D: int = 1, I: int = I, H: int = H) -> dict[str, np.ndarray]:
    random, rows = np.random.default_rng(0), GATES[kind] * H
    shapes = {"W": (D, rows, I), "R": (D, rows, H), "B": (D, 2 * rows)}
    return {n: random.uniform(-0.8, 0.8, s).astype(np.float32) for n, s in shapes.items()}


def node(kind: str, given: dict[str, str], name: str = "", **attributes: Any) -> Any:
    places = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
    inputs = [given.get(place, "") for place in places]
    while not inputs[-1]:
        inputs.pop()
    attributes = {"hidden_size": H, **attributes}
    return helper.make_node(kind, inputs, [f"Y{name}", f"Y_h{name}"], name=name, **attributes)


def model(nodes: list, constants: dict[str, np.ndarray], inputs: tuple[str, ...] = ("X",)) -> Any:
    graph = helper.make_graph(
        nodes,
        "others",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in inputs],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])


def one(kind: str = "LSTM", extra: dict | None = None, D: int = 1, **attributes: Any) -> Any:
    constants = {**weights(kind, D), **(extra or {})}
    given = {n: n for n in ("X", *constants)}
    return model([node(kind, given, **attributes)], constants)


@pytest.mark.parametrize("kind", GATES)
def test_layout_1_reads_batches_first(kind):
    theirs = one(kind, layout=1)
    ours = glasscell.from_onnx(theirs)
    assert ours.batch_first
    x = torch.randn(B, T, I)
    (y,) = ReferenceEvaluator(theirs).run(["Y"], {"X": x.numpy()})  # (B, T, 1, H)
    assert_agree(ran(ours, x)[:1], [np.asarray(y)[:, :, 0]])


def test_functions_by_any_case_and_with_their_defaults_written_down():
    plain = glasscell.from_onnx(one("LSTM", D=2, direction="bidirectional"))
    told = ["sigmoid", "TANH", "ScaledTanh"] * 2
    again = glasscell.from_onnx(one("LSTM", D=2, direction="bidirectional", activations=told))
    assert_same_layer(again, plain)
    rnn = glasscell.from_onnx(one("RNN"))
    assert_same_layer(glasscell.from_onnx(one("RNN", activations=["Tanh", "Tanh"])), rnn)
    assert glasscell.from_onnx(one("GRU")).cell == cells.VARIANTS["gru_reset_before"]


def test_numbers_go_to_the_functions_that_take_them():
    told = ["HardSigmoid", "Relu", "Affine"]
    slope = float(np.float32(1 / 6))
    ours = glasscell.from_onnx(
        one("LSTM", activations=told, activation_alpha=[slope], activation_beta=[0.5])
    )
    cell = ours.cell
    assert isinstance(cell, LSTM)
    squashes = [gate.squash.name for gate in cell.gates]
    assert squashes == ["hard_sigmoid", "hard_sigmoid", "relu", "hard_sigmoid"]
    assert cell.output_squash.name == "identity"


def test_weights_that_nodes_make_are_computed():
    constants = weights("GRU")
    whole = glasscell.from_onnx(model([node("GRU", {n: n for n in "XWRB"})], constants))
    halves = dict(zip(("W_1", "W_2"), np.split(constants.pop("W"), [5], 1), strict=True))
    made = helper.make_node("Concat", ["W_1", "W_2"], ["W"], axis=1)
    same = helper.make_node("Identity", ["R_0"], ["R"])
    constants = {**halves, "R_0": constants["R"], "B": constants["B"]}
    theirs = model([made, same, node("GRU", {n: n for n in "XWRB"})], constants)
    assert_same_layer(glasscell.from_onnx(theirs), whole)


def test_the_forget_gate_of_coupled_gates_stays_behind():
    ours = glasscell.from_onnx(one("LSTM", input_forget=1))
    assert ours.cell == cells.VARIANTS["coupled"]
    plain = glasscell.from_onnx(one("LSTM"))
    i, _, g, o = plain.weight_ih_l0.detach().chunk(4)
    assert torch.equal(ours.weight_ih_l0.detach(), torch.cat((i, g, o)))


ZEROS = np.zeros((1, B, H), np.float32)
ODD = {
    "clip": (lambda: one(clip=3.0), r"clip: expected none, got 3\.0"),
    "reverse": (lambda: one(direction="reverse"), "direction: expected .*, got 'reverse'"),
    "unknown function": (
        lambda: one("RNN", activations=["Softsign"]),
        "activations: expected one of .*Tanh.* got Softsign",
    ),
    "ONNX's own hard sigmoid": (
        lambda: one("RNN", activations=["HardSigmoid"]),
        r"got HardSigmoid\(0\.2",
    ),
    "slope": (
        lambda: one("RNN", activations=["LeakyRelu"], activation_alpha=[0.1]),
        "got LeakyRelu",
    ),
    "numbers left": (
        lambda: one("RNN", activations=["Tanh"], activation_alpha=[0.1]),
        r"activation_alpha: no function takes it, got 0\.1",
    ),
    "too few functions": (
        lambda: one("LSTM", activations=["Sigmoid", "Tanh"]),
        "activations: expected 3",
    ),
    "unlike directions": (
        lambda: one("RNN", D=2, direction="bidirectional", activations=["Tanh", "Relu"]),
        "expected the same in both directions",
    ),
    "attribute": (lambda: one("RNN", linear=1), "got linear"),
    "states": (
        lambda: one("RNN", {"initial_h": ZEROS + 1}),
        "initial_h: expected zeros or an input of the model",
    ),
    "lengths": (
        lambda: one("RNN", {"sequence_lens": np.array([5, 3], np.int32)}),
        "sequence_lens: expected an input of the model",
    ),
    "sizes": (lambda: one(hidden_size=H + 1), "hidden_size: expected 4, got 5"),
    "directions": (
        lambda: one(direction="bidirectional"),
        r"W: expected \(2, 16, I\), got \(1, 16, 3\)",
    ),
    "shape of B": (
        lambda: one("RNN", {"B": np.zeros((1, H), np.float32)}),
        r"B: expected \(1, 8\), got \(1, 4\)",
    ),
    "shape of P": (
        lambda: one("LSTM", {"P": np.zeros((1, H), np.float32)}),
        r"P: expected \(1, 12\), got \(1, 4\)",
    ),
    "dtypes": (
        lambda: one("RNN", {"B": np.zeros((1, 2 * H))}),
        "expected one dtype, got torch.float32, torch.float64",
    ),
    "weights of the input": (
        lambda: model([node("RNN", {n: n for n in "XWR"})], {"R": ZEROS}, ("X", "W")),
        "W: expected constants, got 'W', which depends on an input",
    ),
    "no operator": (
        lambda: model([helper.make_node("Relu", ["X"], ["Y"])], {}),
        "expected an LSTM, GRU or RNN operator, got none",
    ),
    "no model": (lambda: 3, "expected a path, bytes or a model, got int"),
}


@pytest.mark.parametrize(("theirs", "why"), ODD.values(), ids=list(ODD))
def test_what_ours_have_not_is_refused(theirs, why):
    with pytest.raises(InputError, match=why):
        glasscell.from_onnx(theirs())


@pytest.mark.parametrize("filled", [0.0, 0.5])
def test_states_that_are_made_for_the_size_of_the_batch(filled):
    constants = {**weights("RNN"), "state": np.full((1, 1, H), filled, np.float32)}
    constants["one"], constants["second"] = np.array([1]), np.array(1)
    makers = [
        helper.make_node("Shape", ["X"], ["shape"]),
        helper.make_node("Gather", ["shape", "second"], ["B_size"]),
        helper.make_node("Unsqueeze", ["B_size", "zero"], ["B_sizes"]),
        helper.make_node("Concat", ["one", "B_sizes", "one"], ["wanted"], axis=0),
        helper.make_node("Expand", ["state", "wanted"], ["initial"]),
    ]
    constants["zero"] = np.array([0])
    given = {**{n: n for n in "XWRB"}, "initial_h": "initial"}
    theirs = model([*makers, node("RNN", given)], constants)
    if filled:
        with pytest.raises(InputError, match="initial_h: expected zeros"):
            glasscell.from_onnx(theirs)
    else:
        glasscell.from_onnx(theirs)


def two(between: list, **second: Any) -> Any:
    """Two RNNs, the second reading what `between` makes of the first's output Y."""
    first = weights("RNN")
    upper = {f"{n}_2": v for n, v in weights("RNN", I=H).items()}
    given = {"X": "Z", **{n: f"{n}_2" for n in "WRB"}}
    nodes = [node("RNN", {n: n for n in "XWRB"}), *between, node("RNN", given, "upper", **second)]
    axis = {"axis": np.array([1]), "axis_0": np.array([0])}
    return model(nodes, {**first, **upper, **axis})


def test_operators_that_read_one_another_are_one_layer():
    squeeze = helper.make_node("Squeeze", ["Y", "axis"], ["Z"])
    ours = glasscell.from_onnx(two([squeeze]))
    assert ours.num_layers == 2
    upper = glasscell.from_onnx(two([squeeze]), "upper")
    assert upper.num_layers == 1
    assert torch.equal(upper.weights().U, ours.weights(1).U)
    assert_same_layer(glasscell.from_onnx(two([squeeze]), ["Y", "upper"]), ours)


def test_operators_that_are_no_stack_must_be_named():
    for between in (
        [helper.make_node("Squeeze", ["Y", "axis"], ["y"]), helper.make_node("Relu", ["y"], ["Z"])],
        [helper.make_node("Squeeze", ["Y_h", "axis_0"], ["Z"])],
    ):
        theirs = two(between)
        with pytest.raises(InputError, match="they are no stack of one layer"):
            glasscell.from_onnx(theirs)
        assert glasscell.from_onnx(theirs, "upper").num_layers == 1
    squeeze = helper.make_node("Squeeze", ["Y", "axis"], ["Z"])
    with pytest.raises(InputError, match=r'expected cell="rnn", as RNN Y, got cell="relu_rnn"'):
        glasscell.from_onnx(two([squeeze], activations=["Relu"]))
    with pytest.raises(InputError, match="node: expected one of Y, upper, got 'lower'"):
        glasscell.from_onnx(two([squeeze]), "lower")
    with pytest.raises(InputError, match="node: expected a name or several, got none"):
        glasscell.from_onnx(two([squeeze]), [])


def test_a_layer_of_ours_inside_a_larger_model():
    layer = layer_of("gru", I, H, num_layers=2)
    theirs = glasscell.to_onnx(layer)
    theirs.graph.node.append(helper.make_node("Relu", ["output"], ["after"]))
    assert_same_layer(glasscell.from_onnx(theirs), layer)
