"""What a Keras layer computes: its class and activations as one of our cells, and back; and its
arrays as our weights, and back.

Keras stacks gates along columns, the LSTM's as ours, i f c o (its c is the candidate g), and the
GRU's as z r h (its h is the candidate n).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from glasscell import cells
from glasscell.cells import HARD_SIGMOID, HARD_TANH, IDENTITY, RELU, SIGMOID, TANH, Cell, Weights
from glasscell.errors import InputError
from glasscell.interchange.arrays import array, tensor
from glasscell.interchange.gate_order import letters, one_bias, reordered, two_biases
from glasscell.interchange.traits import described, require, shared_squash, with_squashes

ACTIVATIONS = {
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "relu": RELU,
    "linear": IDENTITY,
    "hard_sigmoid": HARD_SIGMOID,
    "hard_tanh": HARD_TANH,
}
NAMES = {squash: name for name, squash in ACTIVATIONS.items()}
KINDS: dict[str, Cell] = {"LSTM": cells.LSTM(), "GRU": cells.GRU(), "SimpleRNN": cells.RNN()}
CLASSES = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}
ORDER = {"lstm": "ifgo", "gru": "zrn", "rnn": "h"}
DEFAULTS = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True}


def arguments_of(cell: Cell) -> dict[str, Any]:
    """What the Keras layer must be told to compute what the cell does.

    Raises:
        InputError: a cell that Keras does not have.
    """
    require(cell, "Keras", "squashes", "reset_before")
    for squash in (gate.squash for gate in cell.gates):
        if squash not in NAMES:
            raise InputError(f"layer: Keras has no activation {squash.name}, got {described(cell)}")
    if isinstance(cell, cells.RNN):
        return {"activation": NAMES[cell.hidden.squash]}
    gates = tuple(gate.name for gate in cell.gates if gate.name != "candidate")
    found = {
        "activation": NAMES[shared_squash(cell, ("candidate",), "Keras")],
        "recurrent_activation": NAMES[shared_squash(cell, gates, "Keras")],
    }
    if isinstance(cell, cells.LSTM):
        if cell.output_squash is not cell.candidate.squash:
            raise InputError(
                "layer: Keras has one activation for the candidate and the cell state on its way "
                f"out, got {cell.candidate.squash.name} and {cell.output_squash.name}"
            )
        return found
    assert isinstance(cell, cells.GRU)
    return {**found, "reset_after": cell.reset_after}


def cell_of(name: str, config: Mapping[str, Any], argument: str) -> Cell:
    """The cell of a Keras layer.

    Args:
        name: "LSTM", "GRU" or "SimpleRNN".
        config: as its `get_config()` says.

    Raises:
        InputError: an activation that is none of ours.
    """

    def squash(option: str) -> Any:
        found = config.get(option, DEFAULTS[option])
        if not isinstance(found, str) or found not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise InputError(f"{argument}: {option}: expected one of {known}, got {found!r}")
        return ACTIVATIONS[found]

    candidate = squash("activation")
    gates = SIGMOID if name == "SimpleRNN" else squash("recurrent_activation")
    kind = KINDS[name]
    if name == "GRU" and not config.get("reset_after", True):
        kind = cells.VARIANTS["gru_reset_before"]
    return with_squashes(kind, gates, candidate, candidate)


def weights_of(given: Sequence[Any], cell: Cell, bias: bool, argument: str) -> Weights:
    """One layer's weights in one direction from Keras's arrays: kernel, recurrent kernel, bias.

    Raises:
        InputError: another number of arrays, or other shapes.
    """
    names = ("kernel", "recurrent_kernel", "bias")[: 3 if bias else 2]
    if len(given) != len(names):
        raise InputError(
            f"{argument}: expected {len(names)} arrays, {', '.join(names)}, got {len(given)}"
        )
    order = ORDER[cell.kind]
    G, H = len(order), tuple(np.shape(given[1]))[:1]
    units: int | str = H[0] if H else "H"
    columns = G * units if isinstance(units, int) else "G*H"

    def ours(stacked: Tensor) -> Tensor:
        return reordered(stacked, order, letters(cell)).contiguous()

    W = ours(tensor(f"{argument}: kernel", given[0], ("I", columns)).T)
    U = ours(tensor(f"{argument}: recurrent_kernel", given[1], (units, columns)).T)
    if not bias:
        return Weights(W, U)
    if isinstance(cell, cells.GRU) and cell.reset_after:
        both = tensor(f"{argument}: bias", given[2], (2, columns))
        return Weights(W, U, ours(both[0]), ours(both[1]))
    return Weights(W, U, *two_biases(ours(tensor(f"{argument}: bias", given[2], (columns,)))))


def arrays_of(w: Weights, cell: Cell) -> list[np.ndarray]:
    """Keras's arrays, in its order, from one layer's weights in one direction."""

    def theirs(stacked: Tensor) -> np.ndarray:
        return array(reordered(stacked, letters(cell), ORDER[cell.kind]))

    found = [theirs(w.W).T, theirs(w.U).T]
    if w.b_x is not None and w.b_h is not None:
        if isinstance(cell, cells.GRU) and cell.reset_after:
            found.append(np.stack((theirs(w.b_x), theirs(w.b_h))))
        else:
            summed = one_bias(w)
            assert summed is not None
            found.append(theirs(summed))
    return [np.ascontiguousarray(each) for each in found]
