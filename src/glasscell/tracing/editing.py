"""`glasscell.edit`: changes what a model's recurrent layers compute while a block runs."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase

from torch import nn

from glasscell.cells import Cell
from glasscell.errors import InputError
from glasscell.nn import Recurrent
from glasscell.nn.edits import LayerEdit
from glasscell.nn.indices import Index, chosen
from glasscell.nn.one_step import RecurrentCell
from glasscell.tracing.black_box import cell_of
from glasscell.tracing.edits import Edit, Value
from glasscell.tracing.layers import NamedLayer, named_layers
from glasscell.tracing.twins import let_twin_run


class Editing:
    """Edits that hold while a `with` block runs. Made by `glasscell.edit`.

    Attributes:
        edits: what is changed, in the order in which it is: as plain data, for `save_edits`.
    """

    def __init__(self, model: nn.Module, edits: Sequence[Edit]) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
        self.edits = tuple(edits)
        layers = named_layers(model)
        # each edit with the layers that its name means
        self._plan = [(each, layer) for each in self.edits for layer in _meant(each, layers)]
        self._holding: ExitStack | None = None

    def __enter__(self) -> "Editing":
        if self._holding is not None:
            raise RuntimeError("these edits hold already; make others to nest them")
        with ExitStack() as ends:
            for edit, layer in self._plan:
                ends.callback(_begin(edit.of_layer(), layer))
            self._holding = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._holding is not None
        self._holding.close()
        self._holding = None

    def __repr__(self) -> str:
        return f"<Editing {', '.join(map(repr, self.edits))}>"


def edit(
    model: nn.Module,
    layer: str | Edit | Sequence[Edit],
    quantity: str | None = None,
    *,
    units: Index = None,
    steps: Index = None,
    batch: Index = None,
    set: Value | None = None,
    scale: Value | None = None,
    add: Value | None = None,
) -> Editing:
    """Changes a gate or state of some units, steps and sequences while a block runs.

    The change acts inside the recurrence: what the layer computes from it sees it, in the same
    step and in all that follow. A gate is changed after its squash; the cell state after
    c_t = f_t * c_{t-1} + i_t * g_t, before the output gate may peek at it and before it is shown;
    the hidden state after its projection, before anyone reads it. Edits can be nested and combined:
    they act in the order in which they begin. Gradients flow through them, and into the values.

    Layers of torch.nn are run by Glasscell's on the same weights as long as they are edited, so
    that what is not edited may differ from before in the last bits. A trace shows what was used
    after the edit, and what went into a gate's squash as it was.

    Args:
        model: any `nn.Module` with a recurrent layer in it.
        layer: a layer's name as in a trace, "encoder.l0", "encoder.l0_reverse", "l0" where the
            model is itself the layer; or a pattern such as "*.l0". Or a list of `Edit`, such as
            `load_edits` gives; then nothing else is given.
        quantity: a gate, "candidate", "cell" or "hidden"; what a cell has is in
            `trace[...].quantities`.
        units, steps, batch, set, scale, add: see `Edit`.

    Raises:
        TypeError: model is not an `nn.Module`; what is no index, or no number.
        InputError: no such layer, quantity or unit; not one of set, scale, add. When the model
            runs: a step or sequence that is not there, a value that does not fit.

    Example:
        >>> with glasscell.edit(model, "encoder.l0", "forget_gate", units=[3], steps=slice(5, 9),
        ...                     set=1.0):
        ...     y = model(x)

        Values from another run, to see what some units carry from one sequence to another:

        >>> with glasscell.trace(model) as other:
        ...     y = model(x.flip(1))
        >>> cells = other["encoder.l0"].cell
        >>> with glasscell.edit(model, "encoder.l0", "cell", units=[3, 7], steps=20, set=cells):
        ...     y = model(x)
    """
    if isinstance(layer, str):
        if quantity is None:
            raise TypeError("quantity: expected its name, such as 'forget_gate'")
        edits = [Edit(layer, quantity, units, steps, batch, set, scale, add)]
        return Editing(model, edits)
    given = (quantity, units, steps, batch, set, scale, add)
    if any(each is not None for each in given):
        raise TypeError("layer: expected a name beside other arguments, got edits")
    edits = [layer] if isinstance(layer, Edit) else list(layer)
    if wrong := [each for each in edits if not isinstance(each, Edit)]:
        raise TypeError(
            f"layer: expected a name, an Edit or several, got {type(wrong[0]).__name__}"
        )
    return Editing(model, edits)


def _meant(edit: Edit, layers: Sequence[NamedLayer]) -> list[NamedLayer]:
    """The layers that an edit's name means, all of which can be edited so.

    Raises:
        InputError: none, or one that has no such quantity or unit.
    """
    found = [layer for layer in layers if fnmatchcase(layer.name, edit.layer)]
    if not found:
        known = ", ".join(layer.name for layer in layers) or "no LSTM, GRU or RNN at all"
        raise InputError(f"layer: expected one of {known}; got {edit.layer!r}")
    for layer in found:
        cell: Cell = cell_of(layer.module)
        if edit.quantity not in cell.quantities:
            raise InputError(
                f"quantity: expected one of {', '.join(cell.quantities)}, which {layer.name}, "
                f"{cell.noun}, has; got {edit.quantity!r}"
            )
        H = layer.module.hidden_size
        projected = getattr(layer.module, "proj_size", 0)
        chosen(edit.units, projected or H if edit.quantity == "hidden" else H, "units")
    return found


def _begin(edit: LayerEdit, layer: NamedLayer) -> Callable[[], None]:
    """Begins an edit of one layer, and gives what ends it."""
    module = layer.module
    if isinstance(module, (Recurrent, RecurrentCell)):
        return _register(module, edit, layer)
    twin, end_twin = let_twin_run(module)
    end_edit = _register(twin, edit, layer)

    def end() -> None:
        end_edit()
        end_twin()

    return end


def _register(
    module: Recurrent | RecurrentCell, edit: LayerEdit, layer: NamedLayer
) -> Callable[[], None]:
    if isinstance(module, RecurrentCell):
        return module.register_edit(edit).remove
    return module.register_edit(edit, layer.number, layer.reverse).remove
