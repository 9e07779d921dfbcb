"""torch.nn's own layers, run by Glasscell's on the same weights: black boxes that can be edited.

A twin has the module's parameters, not copies of them, and its options as they are at the time of
the call; its outputs are the module's up to rounding.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from glasscell.errors import InputError
from glasscell.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RNNCell
from glasscell.nn.one_step import RecurrentCell
from glasscell.nn.recurrent import WEIGHT_NAMES

Twin = Recurrent | RecurrentCell
OPTIONS = ("bias", "batch_first", "bidirectional", "num_layers")
FORWARDS = tuple(
    each.forward
    for each in (nn.LSTM, nn.GRU, nn.RNN, nn.RNNBase, nn.LSTMCell, nn.GRUCell, nn.RNNCell)
)


def twin_of(module: nn.RNNBase | nn.RNNCellBase) -> Twin:
    """A layer of Glasscell's that computes what the module computes, now and later."""
    sizes = module.input_size, module.hidden_size
    if isinstance(module, nn.RNNBase):
        options = {name: getattr(module, name) for name in OPTIONS}
        if module.mode == "LSTM":
            return LSTM(*sizes, proj_size=module.proj_size, device="meta", **options)
        if module.mode == "GRU":
            return GRU(*sizes, device="meta", **options)
        nonlinearity = module.mode.removeprefix("RNN_").lower()
        return RNN(*sizes, nonlinearity=nonlinearity, device="meta", **options)
    if isinstance(module, nn.RNNCell):
        return RNNCell(*sizes, module.bias, module.nonlinearity, device="meta")
    kind = LSTMCell if isinstance(module, nn.LSTMCell) else GRUCell
    return kind(*sizes, module.bias, device="meta")


def run_twin(twin: Twin, module: nn.RNNBase | nn.RNNCellBase, *args: Any, **kwargs: Any) -> Any:
    """What the module's forward returns, by way of its twin."""
    twin.train(module.training)
    if isinstance(module, nn.RNNBase):
        twin.dropout = module.dropout  # type: ignore[assignment]
    for name in list(twin._parameters):
        if name.startswith(WEIGHT_NAMES) and name in twin._parameters:
            del twin._parameters[name]
    for name in _weight_names(module):
        # an attribute, because a parametrization puts a plain tensor in a parameter's place
        object.__setattr__(twin, name, getattr(module, name))
    return twin(*args, **kwargs)


def _weight_names(module: nn.RNNBase | nn.RNNCellBase) -> list[str]:
    if isinstance(module, nn.RNNBase):
        return [name for names in module._all_weights for name in names]
    names = ["weight_ih", "weight_hh"]
    return [*names, "bias_ih", "bias_hh"] if module.bias else names


_active: WeakKeyDictionary[nn.Module, tuple[Twin, int]] = WeakKeyDictionary()


def active_twin(module: nn.Module) -> Twin | None:
    """The twin that runs in a module's place at present, if one does."""
    found = _active.get(module)
    return None if found is None else found[0]


def let_twin_run(module: nn.RNNBase | nn.RNNCellBase) -> tuple[Twin, Callable[[], None]]:
    """Lets a twin run in the module's place, and gives it with what ends that.

    Whoever asks while it does gets the same one; it goes with the last of them.

    Raises:
        InputError: the module computes something of its own.
    """
    twin, users = _active.get(module, (None, 0))
    if twin is None:
        if type(module).forward not in FORWARDS or "forward" in module.__dict__:
            raise InputError(
                f"{type(module).__name__}: its forward is not torch.nn's, so Glasscell cannot run "
                "it under an edit; edit the torch.nn or Glasscell layer that it calls"
            )
        twin = twin_of(module)
        module.forward = _TwinForward(module, twin)
    _active[module] = twin, users + 1

    def end() -> None:
        twin, users = _active[module]
        if users > 1:
            _active[module] = twin, users - 1
            return
        del _active[module], module.forward

    return twin, end


class _TwinForward:
    """A module's forward, run by its twin; the module's copies have their own."""

    def __init__(self, module: nn.Module, twin: Twin) -> None:
        self.module, self.twin = module, twin

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        run = torch.compiler.disable(run_twin) if torch.compiler.is_compiling() else run_twin
        return run(self.twin, self.module, *args, **kwargs)  # type: ignore[arg-type]

    def __reduce__(self) -> tuple:  # how it is copied and pickled
        return _own_forward, (self.module,)


def _own_forward(module: nn.Module) -> MethodType:
    return MethodType(type(module).forward, module)
