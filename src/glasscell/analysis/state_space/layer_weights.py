"""Finding a recorded layer's equations and weights again, in the model that it belongs to."""

from typing import NamedTuple

from torch import nn

from glasscell.cells import Cell, Weights
from glasscell.errors import InputError
from glasscell.nn import Recurrent
from glasscell.nn.one_step import RecurrentCell
from glasscell.nn.record import layer_name
from glasscell.nn.recurrent import WEIGHT_NAMES
from glasscell.tracing.black_box import cell_of
from glasscell.tracing.layers import NamedLayer, named_layers
from glasscell.tracing.twins import active_twin


class Equations(NamedTuple):
    """All that a step of one layer computes, outside of training."""

    name: str
    cell: Cell
    weights: Weights
    zoneout: tuple[float, float]  # what of the cell and of the hidden state stays as it was


def equations_of(model: nn.Module, name: str | None) -> Equations:
    """The name, the cell, the weights and the zoneout of one layer of a model.

    Args:
        model: any module with a recurrent layer in it, or that layer.
        name: as in a trace, "encoder.l0"; of a layer that was recorded in a larger model and is
            given by itself, the last part is enough. None where the model has one layer only.

    Raises:
        TypeError: model is not an `nn.Module`.
        InputError: no such layer, or several and none is named; or one that is edited, whose
            equations and weights are not all that it computes.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    layers = {layer.name: layer for layer in named_layers(model)}
    if not layers:
        raise InputError(f"model: {type(model).__name__} has no LSTM, GRU or RNN layer in it")
    if name is None:
        if len(layers) > 1:
            raise InputError(f"layer: expected one of {', '.join(layers)}, got none")
        name = next(iter(layers))
    short = name.rsplit(".", 1)[-1]
    found = layers.get(name) or layers.get(short)
    if found is None:
        raise InputError(f"layer: expected one of {', '.join(layers)}, got {name!r}")
    if getattr(active_twin(found.module) or found.module, "_edits", None):
        raise InputError(
            f"{found.name}: an edit holds, so a step of the layer is more than its equations say; "
            "ask outside of glasscell.edit's block"
        )
    module = found.module
    zoneout = module.chance.zoneout if isinstance(module, Recurrent) else (0.0, 0.0)
    return Equations(name, cell_of(module), _weights(found), zoneout)


def _weights(layer: NamedLayer) -> Weights:
    module = layer.module
    if isinstance(module, Recurrent):
        return module.weights(layer.number, layer.reverse)
    if isinstance(module, RecurrentCell):
        return module.weights()
    is_layer = isinstance(module, nn.RNNBase)
    suffix = f"_{layer_name(layer.number, layer.reverse)}" if is_layer else ""
    return Weights(*(getattr(module, name + suffix, None) for name in WEIGHT_NAMES))  # type: ignore[arg-type]
