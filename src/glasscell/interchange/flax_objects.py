"""Flax's cells and wrappers, taken apart into one cell for each layer and direction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glasscell import cells
from glasscell.cells import HARD_SIGMOID, HARD_TANH, IDENTITY, RELU, SIGMOID, TANH, Cell, Squash
from glasscell.errors import InputError
from glasscell.interchange.traits import kind_of, with_squashes

KINDS: dict[str, Cell] = {
    "LSTMCell": cells.LSTM(),
    "OptimizedLSTMCell": cells.LSTM(),
    "GRUCell": cells.GRU(),
    "SimpleCell": cells.RNN(),
}
FUNCTIONS: dict[str, Squash] = {  # as JAX calls them
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "relu": RELU,
    "identity": IDENTITY,
    "hard_sigmoid": HARD_SIGMOID,
    "hard_tanh": HARD_TANH,
}
DIRECTIONS = ("forward_rnn", "backward_rnn")  # the parts of a Bidirectional


@dataclass(frozen=True)
class FlaxPart:
    """One layer in one direction: a cell of flax.linen or flax.nnx.

    Attributes:
        wrapped: whether an RNN, which runs it over a sequence, is around it.
    """

    source: Any
    where: str
    wrapped: bool

    @property
    def is_nnx(self) -> bool:
        return type(self.source).__module__.startswith("flax.nnx")

    @property
    def name(self) -> str:
        return type(self.source).__name__

    @property
    def by_gates(self) -> bool:
        """Whether it has a dense layer for each gate."""
        return not self.is_nnx or self.name == "LSTMCell"

    @property
    def cell(self) -> Cell:
        """The cell of ours.

        Raises:
            InputError: a function that is none of our squashes.
        """
        if getattr(self.source, "residual", False):
            raise InputError(f"{self.where}: residual: expected False, which is all ours has")
        candidate = self._squash("activation_fn")
        gates = SIGMOID if self.name == "SimpleCell" else self._squash("gate_fn")
        return with_squashes(KINDS[self.name], gates, candidate, candidate)

    def _squash(self, option: str) -> Squash:
        function = getattr(self.source, option)
        name = getattr(function, "__name__", "")
        if name not in FUNCTIONS or not str(getattr(function, "__module__", "")).startswith("jax"):
            known = ", ".join(FUNCTIONS)
            raise InputError(f"{self.where}: {option}: expected JAX's {known}, got {function!r}")
        return FUNCTIONS[name]

    def tree(self) -> Mapping[str, Any]:
        """An nnx cell's own parameters."""
        return pure(self.source)

    def check_sizes(self, tree: Mapping[str, Any]) -> None:
        """Raises InputError where the module's parameters have other shapes than the tree's."""
        if not self.is_nnx:  # a linen module knows its hidden size alone
            units = len(tree["hi" if "hi" in tree else "hr" if "hr" in tree else "h"]["kernel"])
            if self.source.features != units:
                raise InputError(
                    f"{self.where}: features: expected {units}, got {self.source.features}"
                )
            return
        there = self.tree()
        for name, dense in tree.items():
            for kind, values in dense.items():
                if (found := tuple(there[name][kind].shape)) != values.shape:
                    raise InputError(
                        f"{self.where}: {name}: expected a {kind} {values.shape}, got {found}"
                    )

    def fill(self, tree: Mapping[str, Any]) -> None:
        """Gives an nnx cell these parameters."""
        from flax import nnx

        nnx.update(self.source, tree)


def is_flax(given: Any) -> bool:
    """Whether it is a module of Flax's, and no tree of parameters."""
    module = type(given).__module__
    return module.startswith(("flax.linen", "flax.nnx.nn."))


def pure(given: Any) -> Any:
    """What nnx keeps in modules and states of its own, as plain dictionaries."""
    if type(given).__module__.startswith("flax.nnx"):
        from flax import nnx

        state = nnx.state(given, nnx.Param) if isinstance(given, nnx.Module) else given
        return nnx.to_pure_dict(state)
    return given


def taken_apart(given: Any, where: str) -> list[list[FlaxPart]]:
    """The cells of a module, or of a list of modules, for each layer and direction.

    Raises:
        InputError: no recurrent module of Flax's, or one that does what ours does not.
    """
    if isinstance(given, (list, tuple)):
        if not given:
            raise InputError(f"{where}: expected a module or several, got none")
        return [row for k, each in enumerate(given) for row in taken_apart(each, f"{where}[{k}]")]
    if not is_flax(given):
        raise InputError(
            f"{where}: expected a module of flax.linen or flax.nnx, got {kind_of(given)}"
        )
    if type(given).__name__ == "Bidirectional":
        merge = getattr(given.merge_fn, "__name__", given.merge_fn)
        if merge != "_concatenate":
            raise InputError(
                f"{where}: merge_fn: expected Flax's own, which concatenates as ours does, "
                f"got {merge}"
            )
        return [[_one(getattr(given, name), f"{where}.{name}") for name in DIRECTIONS]]
    return [[_one(given, where)]]


def _one(given: Any, where: str) -> FlaxPart:
    name = type(given).__name__
    if name == "RNN" and is_flax(given):
        if given.reverse:
            raise InputError(
                f"{where}: reverse: expected False, got True: a layer here runs backwards only "
                "beside one that runs forwards; give it the steps in reverse order"
            )
        inside = _one(given.cell, f"{where}.cell")
        return FlaxPart(inside.source, inside.where, wrapped=True)
    if name not in KINDS or not is_flax(given):
        raise InputError(f"{where}: expected Flax's {', '.join(KINDS)}, got {kind_of(given)}")
    return FlaxPart(given, where, wrapped=False)
