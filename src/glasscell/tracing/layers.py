"""The recurrent layers of any model, and the names by which one asks for them."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from glasscell.nn import Recurrent
from glasscell.nn.one_step import RecurrentCell
from glasscell.nn.record import layer_name

Layer = Recurrent | nn.RNNBase
OneStep = RecurrentCell | nn.RNNCellBase


@dataclass(frozen=True)
class NamedLayer:
    """One layer in one direction of a recurrent module, or a one-step cell.

    Attributes:
        name: "<module path>.l<k>", with "_reverse" for the second direction; "l<k>" where the model
            is itself the module. A one-step cell has its module path, "cell" where it is the model.
        path: the module's path in the model.
    """

    name: str
    path: str
    module: Layer | OneStep
    number: int = 0
    reverse: bool = False


def recurrent_modules(model: nn.Module) -> Iterator[tuple[str, Layer | OneStep]]:
    """Every recurrent module in a model, Glasscell's and torch.nn's, and its path."""
    for path, module in model.named_modules():
        if isinstance(module, (Recurrent, nn.RNNBase, RecurrentCell, nn.RNNCellBase)):
            yield path.replace("_orig_mod.", "").removesuffix("_orig_mod"), module


def named_layers(model: nn.Module) -> list[NamedLayer]:
    """Every layer and direction in a model."""
    return [layer for path, module in recurrent_modules(model) for layer in layers_of(path, module)]


def layers_of(path: str, module: Layer | OneStep) -> list[NamedLayer]:
    """The layers and directions of one module."""
    if isinstance(module, (RecurrentCell, nn.RNNCellBase)):
        return [NamedLayer(path or "cell", path, module)]
    directions = (False, True) if module.bidirectional else (False,)
    return [
        NamedLayer(full_name(path, layer_name(k, reverse)), path, module, k, reverse)
        for k in range(module.num_layers)
        for reverse in directions
    ]


def full_name(path: str, layer: str) -> str:
    return f"{path}.{layer}" if path else layer
