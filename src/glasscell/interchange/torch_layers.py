"""torch.nn's own layers: from them and back, bit for bit."""

from typing import Any

import torch
from torch import nn

from glasscell import cells
from glasscell.cells import Weights
from glasscell.errors import InputError
from glasscell.interchange.stack import Stack, module_of, stack_of
from glasscell.interchange.traits import require
from glasscell.nn import GRUCell, LSTMCell, Recurrent, RNNCell
from glasscell.nn.one_step import RecurrentCell

CELLS = {
    "LSTM": cells.VARIANTS["lstm"],
    "GRU": cells.VARIANTS["gru"],
    "RNN_TANH": cells.VARIANTS["rnn"],
    "RNN_RELU": cells.VARIANTS["relu_rnn"],
}
LAYERS = (nn.LSTM, nn.GRU, nn.RNN)
STEPS = (nn.LSTMCell, nn.GRUCell, nn.RNNCell)
FORWARDS = tuple(each.forward for each in (*LAYERS, nn.RNNBase, *STEPS))


def from_torch(module: nn.Module) -> Recurrent | RecurrentCell:
    """The layer of ours that computes what a layer of torch.nn's computes.

    Args:
        module: a torch.nn.LSTM, GRU, RNN, LSTMCell, GRUCell or RNNCell, on any device.

    Returns:
        A `glasscell.LSTM`, `GRU`, `RNN` or one-step cell of the same sizes and options (layers,
        directions, projection, dropout, `batch_first`), with copies of the weights, in training
        or not and each weight to be trained or not, as there.

    Raises:
        InputError: another module, or one whose weights are not plain parameters.

    Example:
        >>> theirs = torch.nn.LSTM(3, 8, num_layers=2, bidirectional=True)
        >>> ours = glasscell.from_torch(theirs)
        >>> torch.allclose(ours(x)[0], theirs(x)[0], atol=1e-6)
        True
    """
    if not isinstance(module, (*LAYERS, *STEPS)):
        expected = "a torch.nn.LSTM, GRU, RNN, LSTMCell, GRUCell or RNNCell"
        of_a_model = "; of a model, give the layer itself" if isinstance(module, nn.Module) else ""
        found = f"{type(module).__module__}.{type(module).__qualname__}"
        raise InputError(f"module: expected {expected}, got {found}{of_a_model}")
    if type(module).forward not in FORWARDS or "forward" in vars(module):
        raise InputError(
            f"module: {type(module).__name__} has a forward of its own, which would be lost; "
            "convert the torch.nn layer that it calls"
        )
    if odd := _names(module) ^ set(dict(module.named_parameters())):
        raise InputError(
            f"module: expected its weights as plain parameters, got {', '.join(sorted(odd))} "
            "otherwise; remove the parametrization, or what prunes it, first"
        )
    ours = module_of(_stack(module), **_options(module))
    given = dict(module.named_parameters())
    for name, parameter in ours.named_parameters():
        parameter.requires_grad_(given[name].requires_grad)
    return ours.train(module.training)


def to_torch(layer: Recurrent | RecurrentCell) -> nn.Module:
    """The layer of torch.nn's that computes what a layer of ours computes.

    Args:
        layer: a plain `glasscell.LSTM`, `GRU`, `RNN` or one-step cell. Of the variants torch.nn
            has `RNN(nonlinearity="relu")` and projections.

    Returns:
        A torch.nn.LSTM, GRU, RNN or one-step cell of the same sizes and options, with copies of
        the weights.

    Raises:
        InputError: a variant, or an option of training, that torch.nn does not have.
        TypeError: no layer of ours.

    Example:
        >>> theirs = glasscell.to_torch(lstm)
        >>> type(theirs).__name__, torch.allclose(lstm(x)[0], theirs(x)[0], atol=1e-6)
        ('LSTM', True)
    """
    stack = stack_of(layer)
    relu = stack.cell == cells.VARIANTS["relu_rnn"]
    require(stack.cell, "torch.nn", *(("squashes",) if relu else ()))
    if isinstance(layer, Recurrent):
        for name in ("recurrent_dropout", "weight_dropout"):
            if value := getattr(layer.chance, name):
                raise InputError(f"layer: torch.nn has no {name}, got {value}")
    theirs = _theirs(layer, stack, relu)
    theirs.load_state_dict(layer.state_dict())
    given = dict(layer.named_parameters())
    for name, parameter in theirs.named_parameters():
        parameter.requires_grad_(given[name].requires_grad)
    return theirs.train(layer.training)


def _theirs(layer: Recurrent | RecurrentCell, stack: Stack, relu: bool) -> nn.Module:
    weight = stack.first.W
    options: dict[str, Any] = {
        "bias": layer.bias,
        "device": weight.device,
        "dtype": weight.dtype,
    }
    if isinstance(stack.cell, cells.RNN):
        options["nonlinearity"] = "relu" if relu else "tanh"
    sizes = layer.input_size, layer.hidden_size
    with torch.random.fork_rng(devices=[]):
        if isinstance(layer, RecurrentCell):
            steps = {LSTMCell: nn.LSTMCell, GRUCell: nn.GRUCell, RNNCell: nn.RNNCell}
            return steps[type(layer)](*sizes, **options)
        options |= {
            "num_layers": layer.num_layers,
            "batch_first": layer.batch_first,
            "dropout": layer.dropout,
            "bidirectional": layer.bidirectional,
        }
        if layer.proj_size:
            options["proj_size"] = layer.proj_size
        kinds = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
        return kinds[stack.cell.kind](*sizes, **options)


def _options(module: nn.Module) -> dict[str, Any]:
    if not isinstance(module, nn.RNNBase):
        return {}
    return {"batch_first": module.batch_first, "dropout": module.dropout}


def _stack(module: nn.RNNBase | nn.RNNCellBase) -> Stack:
    if isinstance(module, nn.RNNBase):
        L, D = module.num_layers, 2 if module.bidirectional else 1
        rows = iter(module.all_weights)
        projected = bool(module.proj_size)
        weights = tuple(
            tuple(_weights(next(rows), module.bias, projected) for _ in range(D)) for _ in range(L)
        )
        return Stack(CELLS[module.mode], weights)
    mode = {nn.LSTMCell: "LSTM", nn.GRUCell: "GRU"}.get(type(module))  # type: ignore[arg-type]
    if isinstance(module, nn.RNNCell):
        mode = f"RNN_{module.nonlinearity.upper()}"
    assert mode is not None
    given = [module.weight_ih, module.weight_hh, module.bias_ih, module.bias_hh]
    return Stack(CELLS[mode], ((Weights(*given),),), one_step=True)


def _weights(given: list, bias: bool, projected: bool) -> Weights:
    W, U, *rest = given
    b_x, b_h = rest[:2] if bias else (None, None)
    return Weights(W, U, b_x, b_h, rest[-1] if projected else None)


def _names(module: nn.RNNBase | nn.RNNCellBase) -> set[str]:
    """The names of its weights, where nothing stands in their place."""
    if isinstance(module, nn.RNNBase):
        return {name for names in module._all_weights for name in names}
    return {"weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if module.bias else ())}
