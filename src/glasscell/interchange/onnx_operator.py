"""ONNX's LSTM, GRU and RNN operators as our cells and weights, and back. No onnx is needed here.

ONNX stacks gates along rows, the LSTM's as i o f c (its c is the candidate g), its peepholes as
i o f, and the GRU's as z r h (its h is the candidate n). It keeps both biases, in one row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glasscell import cells
from glasscell.cells import HARD_SIGMOID, IDENTITY, RELU, SIGMOID, TANH, Cell, Squash, Weights
from glasscell.errors import InputError
from glasscell.interchange.arrays import array, tensor
from glasscell.interchange.gate_order import letters, reordered
from glasscell.interchange.traits import described, require, shared_squash, with_squashes

OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
KINDS: dict[str, Cell] = {"LSTM": cells.LSTM(), "GRU": cells.GRU(), "RNN": cells.RNN()}
ORDER = {"lstm": "iofg", "gru": "zrn", "rnn": "h"}
PEEPHOLES = "iof"
DIRECTIONS = {"forward": 1, "bidirectional": 2}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
KNOWN = (
    "activation_alpha",
    "activation_beta",
    "activations",
    "direction",
    "hidden_size",
    "input_forget",
    "layout",
    "linear_before_reset",
)

# Each squash as ONNX's function, with its alpha and beta where it takes them.
SLOPE = float(np.float32(1 / 6))
FUNCTIONS: dict[Squash, tuple[str, tuple[float, ...]]] = {
    SIGMOID: ("Sigmoid", ()),
    TANH: ("Tanh", ()),
    RELU: ("Relu", ()),
    IDENTITY: ("Affine", (1.0, 0.0)),
    HARD_SIGMOID: ("HardSigmoid", (SLOPE, 0.5)),
}
# What the functions take that take anything, and what they do without: ONNX, "RNN" operator.
DEFAULTS = {
    "affine": (1.0, 0.0),
    "hardsigmoid": (0.2, 0.5),
    "scaledtanh": (1.0, 1.0),
    "leakyrelu": (0.01,),
    "thresholdedrelu": (1.0,),
    "elu": (1.0,),
}


@dataclass(frozen=True)
class Operator:
    """One layer in one or two directions, as one operator.

    Attributes:
        kind: "LSTM", "GRU" or "RNN".
        attributes: of its node.
        weights: its constant inputs by the names in ONNX's documents: W, R, and B and P if any.
    """

    kind: str
    attributes: dict[str, Any]
    weights: dict[str, np.ndarray]


def operator_of(cell: Cell, weights: Sequence[Weights]) -> Operator:
    """The operator that computes what one layer computes.

    Args:
        weights: of one direction, or of two.

    Raises:
        InputError: a cell that ONNX does not have.
    """
    require(cell, "ONNX", "squashes", "peepholes", "coupled", "reset_before")
    D, H = len(weights), len(weights[0].W) // cell.G
    if weights[0].V is not None:
        raise InputError(f"layer: ONNX has no projection, got proj_size={len(weights[0].V)}")
    attributes: dict[str, Any] = {"hidden_size": H}
    if D == 2:
        attributes["direction"] = "bidirectional"
    squashes = _squashes(cell)
    if squashes != _squashes(KINDS[OPERATORS[cell.kind]]):
        attributes |= _activations(cell, squashes * D)
    if isinstance(cell, cells.LSTM) and cell.sharing:
        attributes["input_forget"] = 1
    if isinstance(cell, cells.GRU) and cell.reset_after:
        attributes["linear_before_reset"] = 1

    def stacked(tensors: Sequence[Tensor | None]) -> np.ndarray:
        have, want = letters(cell), ORDER[cell.kind]
        return np.stack([array(reordered(t, have, want)) for t in tensors if t is not None])

    found = {"W": stacked([w.W for w in weights]), "R": stacked([w.U for w in weights])}
    if weights[0].b_x is not None:
        both = stacked([w.b_x for w in weights]), stacked([w.b_h for w in weights])
        found["B"] = np.concatenate(both, 1)
    if cell.peepholes:
        found["P"] = np.stack([_peepholes(cell, w) for w in weights])
    return Operator(OPERATORS[cell.kind], attributes, found)


def read(operator: Operator, where: str) -> tuple[Cell, tuple[Weights, ...]]:
    """The cell of an operator, and the weights of each direction.

    Raises:
        InputError: an attribute or a function that ours have not, or weights of other shapes.
    """
    attributes = operator.attributes
    if "clip" in attributes:
        raise InputError(
            f"{where}: clip: expected none, got {attributes['clip']}: ours do not clip"
        )
    if unknown := sorted(set(attributes) - set(KNOWN)):
        raise InputError(f"{where}: expected attributes among {', '.join(KNOWN)}, got {unknown[0]}")
    direction = attributes.get("direction", "forward")
    if direction not in DIRECTIONS:
        raise InputError(
            f'{where}: direction: expected "forward" or "bidirectional", got {direction!r}: '
            "a layer here runs backwards only beside one that runs forwards"
        )
    D = DIRECTIONS[direction]
    cell = _cell(operator, D, where)
    order, weights = ORDER[cell.kind], operator.weights
    H = np.shape(weights["R"])[-1]
    if attributes.get("hidden_size", H) != H:
        raise InputError(f"{where}: hidden_size: expected {H}, got {attributes['hidden_size']}")
    rows = len(order) * H
    W = tensor(f"{where}: W", weights["W"], (D, rows, "I"))
    R = tensor(f"{where}: R", weights["R"], (D, rows, H))
    B = tensor(f"{where}: B", weights["B"], (D, 2 * rows)) if "B" in weights else None
    P = tensor(f"{where}: P", weights["P"], (D, 3 * H)) if "P" in weights else None

    def ours(stacked: Tensor) -> Tensor:
        return reordered(stacked, order, letters(cell)).contiguous()

    found = []
    for d in range(D):
        b_x, b_h = (None, None) if B is None else (ours(b) for b in B[d].chunk(2))
        p = None
        if P is not None:
            peeking = "".join(letter for letter in letters(cell) if letter in PEEPHOLES)
            p = reordered(P[d], PEEPHOLES, peeking).reshape(-1, H).contiguous()  # (K, H)
        found.append(Weights(ours(W[d]), ours(R[d]), b_x, b_h, p=p))
    return cell, tuple(found)


def _peepholes(cell: Cell, w: Weights) -> np.ndarray:
    """(3*H,) of one direction; zeros for a gate without one."""
    assert w.p is not None
    named = dict(zip(cell.peepholes, w.p, strict=True))
    rows = {gate.letter: named[gate.name] for gate in cell.gates if gate.name in named}
    return array(torch.cat([rows.get(letter, torch.zeros_like(w.p[0])) for letter in PEEPHOLES]))


def _squashes(cell: Cell) -> list[Squash]:
    """ONNX's f, g and h for an LSTM, f and g for a GRU, f for an RNN."""
    if isinstance(cell, cells.RNN):
        return [cell.hidden.squash]
    gates = tuple(gate.name for gate in cell.gates if gate.name != "candidate")
    found = [shared_squash(cell, gates, "ONNX"), shared_squash(cell, ("candidate",), "ONNX")]
    return [*found, cell.output_squash] if isinstance(cell, cells.LSTM) else found


def _activations(cell: Cell, squashes: list[Squash]) -> dict[str, Any]:
    for squash in squashes:
        if squash not in FUNCTIONS:
            raise InputError(f"layer: ONNX has no activation {squash.name}, got {described(cell)}")
    functions = [FUNCTIONS[squash] for squash in squashes]
    found: dict[str, Any] = {"activations": [name for name, _ in functions]}
    if any(numbers for _, numbers in functions):
        found["activation_alpha"] = [numbers[0] for _, numbers in functions if numbers]
        found["activation_beta"] = [numbers[1] for _, numbers in functions if numbers]
    return found


def _cell(operator: Operator, D: int, where: str) -> Cell:
    cell, attributes = KINDS[operator.kind], operator.attributes
    if operator.kind == "GRU" and not attributes.get("linear_before_reset", 0):
        cell = cells.VARIANTS["gru_reset_before"]
    if attributes.get("input_forget", 0):
        cell = cells.VARIANTS["coupled"]
    if "P" in operator.weights:
        assert isinstance(cell, cells.LSTM)
        cell = cells.with_peepholes(cell)
    if "activations" not in attributes:
        return cell
    each = len(_squashes(KINDS[operator.kind]))
    names = [_text(name) for name in attributes["activations"]]
    if operator.kind == "RNN" and D == 1 and len(names) == 2 and names[0] == names[1]:
        names = names[:1]  # as ONNX writes its default down
    if len(names) != each * D:
        raise InputError(
            f"{where}: activations: expected {each * D}, {each} for each direction, got {names}"
        )
    squashes = _read_functions(names, attributes, where)
    if squashes[:each] != squashes[-each:]:
        raise InputError(
            f"{where}: activations: expected the same in both directions, as in a layer here, "
            f"got {names}"
        )
    if isinstance(cell, cells.RNN):
        return replace(cell, hidden=replace(cell.hidden, squash=squashes[0]))
    return with_squashes(cell, squashes[0], squashes[1], squashes[each - 1])


def _read_functions(names: list[str], attributes: Mapping[str, Any], where: str) -> list[Squash]:
    """The squashes of these names; each takes of alpha and beta what it takes, in turn."""
    alphas = iter(attributes.get("activation_alpha", ()))
    betas = iter(attributes.get("activation_beta", ()))
    known = {name.lower(): (squash, numbers) for squash, (name, numbers) in FUNCTIONS.items()}
    known["scaledtanh"] = TANH, (1.0, 1.0)
    found = []
    for name in names:
        usual = DEFAULTS.get(name.lower(), ())
        numbers = tuple(
            float(np.float32(next(given, default)))
            for given, default in zip((alphas, betas), usual, strict=False)
        )
        squash, wanted = known.get(name.lower(), (None, ()))
        if squash is None or numbers != wanted:
            ours = ", ".join(n + (f"{w}" if w else "") for n, w in FUNCTIONS.values())
            raise InputError(
                f"{where}: activations: expected one of {ours}, which ours have, "
                f"got {name}{numbers or ''}"
            )
        found.append(squash)
    for option, left in (("activation_alpha", alphas), ("activation_beta", betas)):
        if (extra := next(left, None)) is not None:
            raise InputError(f"{where}: {option}: no function takes it, got {extra}")
    return found


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
