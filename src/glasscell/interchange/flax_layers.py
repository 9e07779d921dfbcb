"""Flax's recurrent modules and their parameters: from them and back."""

from collections.abc import Mapping
from typing import Any

from glasscell.cells import Cell, Weights
from glasscell.errors import InputError
from glasscell.interchange.flax_objects import (
    DIRECTIONS,
    FUNCTIONS,
    FlaxPart,
    is_flax,
    pure,
    taken_apart,
)
from glasscell.interchange.flax_trees import tree_of, weights_of
from glasscell.interchange.stack import Stack, checked, module_of, require_rows, stack_of
from glasscell.interchange.traits import described, require, shared_squash
from glasscell.nn import Recurrent
from glasscell.nn.one_step import RecurrentCell
from glasscell.nn.options import cell_of as named_cell


def from_flax(source: Any, cell: Any = None, *, batch_first: bool = True) -> Recurrent:
    """The layer of ours that computes what a recurrent module of Flax's computes.

    Args:
        source: the parameters of a flax.linen LSTMCell, OptimizedLSTMCell, GRUCell or SimpleCell,
            of an RNN around it, or of a Bidirectional, with or without "params" above; the same of
            flax.nnx, or an nnx module itself. A list of them, each reading the one before, becomes
            one layer of several.
        cell: with parameters, what computes with them, where it is not the usual cell: the linen
            module, or a name such as "relu_rnn". Parameters do not say it.
        batch_first: whether the layer takes (B, T, I), as Flax's RNN does, and not (T, B, I).

    Returns:
        A `glasscell.LSTM`, `GRU` or `RNN`. A bias that Flax keeps once stands in `bias_ih`.

    Raises:
        InputError: parameters of no cell that is known here, more or fewer than it has, or of
            other shapes; functions that are none of our squashes.

    Example:
        >>> tree = glasscell.to_flax(gru)
        >>> sorted(tree), tree["hn"]["bias"].shape
        (['hn', 'hr', 'hz', 'in', 'ir', 'iz'], (8,))
        >>> again = glasscell.from_flax({"params": tree}, batch_first=False)
        >>> torch.allclose(again(x)[0], gru(x)[0], atol=1e-6)
        True
    """
    first = source[0] if isinstance(source, (list, tuple)) and source else source
    if is_flax(first):
        parts = taken_apart(source, "source")
        if not parts[0][0].is_nnx:
            raise InputError(
                "source: a linen module does not hold its parameters; expected them, and the "
                "module as the second argument"
            )
        if cell is not None:
            raise InputError("cell: an nnx module says it itself, leave it out")
        rows = [[(part.tree(), part.where) for part in row] for row in parts]
        cells = [part.cell for row in parts for part in row]
    else:
        rows, cells = _trees(source, "source"), [] if cell is None else _cells(cell)
    found = [[weights_of(tree, where) for tree, where in row] for row in rows]
    usual = found[0][0][0]
    chosen = cells[0] if cells else usual
    for other in cells:
        if other != chosen:
            raise InputError(f"source: expected one cell, got {described(chosen)} and {other.kind}")
    require(chosen, "Flax", "squashes", argument="cell")
    for row in found:
        for kind, _ in row:
            if kind.kind != chosen.kind:
                raise InputError(
                    f"source: expected parameters of one {chosen.kind}, got {kind.kind}"
                )
    stack = Stack(chosen, tuple(tuple(w for _, w in row) for row in found))
    return module_of(checked(stack, "source"), batch_first=batch_first)


def to_flax(layer: Recurrent | RecurrentCell, into: Any = None) -> Any:
    """A layer's weights as the parameters of a Flax module.

    Args:
        layer: an LSTM, GRU, RNN or one-step cell of ours, plain or with other squashes.
        into: the flax.linen or flax.nnx module (a cell, an RNN or Bidirectional around cells), or
            the list of them, that is to compute the same: it is checked, functions and all, and
            says by which names. An nnx module is given the weights. Needed where the functions
            are not Flax's defaults, since parameters do not say them.

    Returns:
        The tree of NumPy arrays that stands under "params": as `into` is built, or else that of a
        linen cell ("ii" ... "ho"), of a linen Bidirectional ("forward_rnn", "backward_rnn") with
        two directions, and a list of these with several layers. Where Flax keeps one bias it is
        the sum of ours; where ours has none, zeros. float32 where ours are bfloat16.

    Raises:
        InputError: a layer that Flax does not have, or `into` that computes something else.
        TypeError: no layer of ours.

    Example:
        >>> tree = glasscell.to_flax(lstm)
        >>> tree["ii"]["kernel"].shape, tree["hi"]["kernel"].shape, tree["hi"]["bias"].shape
        ((3, 8), (8, 8), (8,))
    """
    stack = stack_of(layer)
    _refuse(stack)
    if into is None:
        _require_defaults(stack.cell)
        trees = [[tree_of(w, stack.cell, by_gates=True) for w in row] for row in stack.weights]
        if stack.D == 2:
            trees = [[{"cell": tree} for tree in row] for row in trees]
        return _nested(trees, several=stack.L > 1)
    parts = taken_apart(into, "into")
    require_rows(stack, parts, "into")
    trees = [
        [_tree_for(part, w, stack) for part, w in zip(row, given, strict=True)]
        for row, given in zip(parts, stack.weights, strict=True)
    ]
    for row, given in zip(parts, trees, strict=True):
        for part, tree in zip(row, given, strict=True):
            if part.is_nnx:
                part.fill(tree)
    wrapped = [
        [{"cell": tree} if part.wrapped else tree for part, tree in zip(row, given, strict=True)]
        for row, given in zip(parts, trees, strict=True)
    ]
    return _nested(wrapped, several=isinstance(into, (list, tuple)))


def _tree_for(part: FlaxPart, w: Weights, stack: Stack) -> dict[str, Any]:
    """One cell's tree by the names of a module's.

    Raises:
        InputError: the module computes something else, or has other sizes.
    """
    if part.cell != stack.cell:
        raise InputError(
            f"{part.where}: expected what computes {described(stack.cell)}, "
            f"got one of {described(part.cell)}"
        )
    tree = tree_of(w, stack.cell, part.by_gates)
    if part.is_nnx:
        tree = {"if_" if name == "if" else name: dense for name, dense in tree.items()}
    part.check_sizes(tree)
    return tree


def _nested(trees: list[list[Any]], several: bool) -> Any:
    """Trees of cells, for each layer and direction, as the tree of a module or of several."""
    rows = [row[0] if len(row) == 1 else dict(zip(DIRECTIONS, row, strict=True)) for row in trees]
    return rows if several else rows[0]


def _require_defaults(cell: Cell) -> None:
    """Raises InputError where a Flax cell must be told its functions."""
    usual = {gate.name: gate.squash for gate in type(cell)().gates}
    options: dict[str, None] = {}
    for gate in cell.gates:
        if gate.squash is not usual[gate.name]:
            option = "gate_fn" if gate.name.endswith("_gate") else "activation_fn"
            options[f"{option}=jax.nn.{gate.squash.name}"] = None
    if options:
        raise InputError(
            f"into: expected the Flax module, as parameters do not say {', '.join(options)}, "
            "got None"
        )


def _refuse(stack: Stack) -> None:
    """Raises InputError where Flax has no such layer."""
    cell = stack.cell
    require(cell, "Flax", "squashes")
    if stack.P != stack.H:
        raise InputError(f"layer: Flax has no projection, got proj_size={stack.P}")
    gates = tuple(gate.name for gate in cell.gates if gate.name.endswith("_gate"))
    if gates:
        shared_squash(cell, gates, "Flax")
    candidate, output = cell.gates[-1], getattr(cell, "output_squash", None)
    candidate = next((gate for gate in cell.gates if gate.name == "candidate"), candidate)
    if output is not None and output is not candidate.squash:
        raise InputError(
            "layer: Flax has one activation_fn for the candidate and the cell state on its way "
            f"out, got {candidate.squash.name} and {output.name}"
        )
    for gate in cell.gates:
        if gate.squash not in FUNCTIONS.values():
            raise InputError(f"layer: JAX has no {gate.squash.name}, got {described(cell)}")


def _cells(given: Any) -> list[Cell]:
    """The cells of a linen module, or the one of that name."""
    if isinstance(given, (list, tuple)) or is_flax(given):
        return [part.cell for row in taken_apart(given, "cell") for part in row]
    return [named_cell(given, ())]


def _trees(source: Any, where: str) -> list[list[tuple[Any, str]]]:
    """The trees of single cells, for each layer and direction."""
    if isinstance(source, (list, tuple)):
        if not source:
            raise InputError(f"{where}: expected a tree of parameters or several, got none")
        return [row for k, each in enumerate(source) for row in _trees(each, f"{where}[{k}]")]
    tree = _inside(pure(source), "params")
    if isinstance(tree, Mapping) and set(tree) == set(DIRECTIONS):
        return [[(_inside(tree[name], "cell"), f"{where}: {name}") for name in DIRECTIONS]]
    return [[(_inside(tree, "cell"), where)]]


def _inside(tree: Any, name: str) -> Any:
    """What stands under that name, where it is the only one."""
    return tree[name] if isinstance(tree, Mapping) and set(tree) == {name} else tree
