"""Finding a recorded layer's equations and weights again, in the model that it belongs to."""

from torch import nn

from glasscell.cells import Cell, Weights
from glasscell.errors import InputError
from glasscell.nn import Recurrent
from glasscell.nn.one_step import RecurrentCell
from glasscell.nn.record import layer_name
from glasscell.nn.recurrent import WEIGHT_NAMES
from glasscell.tracing.black_box import CELLS

Module = Recurrent | nn.RNNBase | RecurrentCell | nn.RNNCellBase
Place = tuple[Module, int, bool]  # the module, which of its layers, whether the reverse direction


def equations_of(model: nn.Module, name: str | None) -> tuple[str, Cell, Weights]:
    """The name, the cell and the weights of one layer of a model.

    Args:
        model: any module with a recurrent layer in it, or that layer.
        name: as in a trace, "encoder.l0"; of a layer that was recorded in a larger model and is
            given by itself, the last part is enough. None where the model has one layer only.

    Raises:
        TypeError: model is not an `nn.Module`.
        InputError: no such layer, or several and none is named.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    places = _places(model)
    if not places:
        raise InputError(f"model: {type(model).__name__} has no LSTM, GRU or RNN layer in it")
    if name is None:
        if len(places) > 1:
            raise InputError(f"layer: expected one of {', '.join(places)}, got none")
        name = next(iter(places))
    short = name.rsplit(".", 1)[-1]
    found = places.get(name) or places.get(short)
    if found is None:
        raise InputError(f"layer: expected one of {', '.join(places)}, got {name!r}")
    return name, _cell(found[0]), _weights(*found)


def _places(model: nn.Module) -> dict[str, Place]:
    """Where each layer and direction is, under the names that traces give them."""
    places: dict[str, Place] = {}
    for path, module in model.named_modules():
        path = path.replace("_orig_mod.", "").removesuffix("_orig_mod")  # torch.compile's wrapper
        if isinstance(module, (RecurrentCell, nn.RNNCellBase)):
            places[path or "cell"] = (module, 0, False)
        elif isinstance(module, (Recurrent, nn.RNNBase)):
            for k in range(module.num_layers):
                for reverse in (False, True)[: 2 if module.bidirectional else 1]:
                    short = layer_name(k, reverse)
                    places[f"{path}.{short}" if path else short] = (module, k, reverse)
    return places


def _cell(module: Module) -> Cell:
    if isinstance(module, (Recurrent, RecurrentCell)):
        return module.cell
    if isinstance(module, nn.RNNBase):
        return CELLS[module.mode]
    if isinstance(module, nn.RNNCell):
        return CELLS[f"RNN_{module.nonlinearity.upper()}"]
    return CELLS["LSTM" if isinstance(module, nn.LSTMCell) else "GRU"]


def _weights(module: Module, k: int, reverse: bool) -> Weights:
    if isinstance(module, Recurrent):
        return module.weights(k, reverse)
    if isinstance(module, RecurrentCell):
        return module.weights()
    suffix = f"_{layer_name(k, reverse)}" if isinstance(module, nn.RNNBase) else ""
    return Weights(*(getattr(module, name + suffix, None) for name in WEIGHT_NAMES))  # type: ignore[arg-type]
