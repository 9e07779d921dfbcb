"""`glasscell.trace`: records every recurrent layer of any model while a block runs."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from threading import get_ident
from typing import Any

import torch
from torch import nn

from glasscell.engines import GradientRecord
from glasscell.errors import InputError
from glasscell.nn import LayerRecord, Recurrent
from glasscell.nn.one_step import RecurrentCell
from glasscell.tracing import beside, black_box, storage
from glasscell.tracing.joining import are_steps, joined
from glasscell.tracing.layer import LayerTrace
from glasscell.tracing.layers import (
    Layer,
    OneStep,
    full_name,
    named_layers,
    recurrent_modules,
)
from glasscell.tracing.table import table
from glasscell.tracing.twins import active_twin


class UnknownLayer(KeyError):
    """A name under which a trace holds nothing."""

    def __str__(self) -> str:
        return str(self.args[0])


class Trace:
    """The record of a model's recurrent layers while a `with` block runs.

    Layers of Glasscell and of torch.nn alike, wherever they are in the model, one-step cells
    too. Observing changes nothing: the outputs are the same bits as without. Tensors of a trace
    are connected to autograd, so a loss may be put on gates and states.

    Args:
        model: any `nn.Module` with a recurrent layer in it.
        layers: names, or patterns such as "encoder.*", of the layers to record; all if absent.
        gradients: whether a backward, within the block or later, leaves dL/d(each state and gate
            of every step) in the layers' `grad`. For a layer of torch.nn they are those of a loss
            on the model's outputs, and are computed beside the module's own backward.

    Names: "<module path>.l<k>" with "_reverse" for the second direction, "l<k>" if the model is
    itself the layer. A one-step cell has its module path ("cell" if it is the model), and its
    calls are shown as the steps of one sequence.

    Example:
        >>> with glasscell.trace(model) as trace:
        ...     y = model(x)
        >>> trace["encoder.l0"].forget_gate.shape
        torch.Size([35, 4, 128])

        >>> with glasscell.trace(model, gradients=True) as trace:
        ...     model(x)[-1].square().sum().backward()
        >>> trace["encoder.l0"].grad.cell.shape  # dL/dc_t at every step
        torch.Size([35, 4, 128])

    Raises:
        TypeError: model is not an `nn.Module`.
        InputError: it has no recurrent layer, or none that `layers` names.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: str | Iterable[str] | None = None,
        *,
        gradients: bool = False,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
        self._model, self._gradients = model, gradients
        patterns = (layers,) if isinstance(layers, str) else layers
        self._patterns = None if patterns is None else tuple(patterns)
        self._calls: dict[str, list[LayerTrace]] = {}
        self._one_step: set[str] = set()
        self._watching: ExitStack | None = None
        names = [layer.name for layer in named_layers(model)]
        if not names:
            raise InputError(
                f"model: {type(model).__name__} has no LSTM, GRU or RNN layer in it to trace"
            )
        if self._patterns is not None:
            _check_patterns(self._patterns, names)

    # Recording

    def __enter__(self) -> "Trace":
        if self._watching is not None:
            raise RuntimeError("this trace is already recording; make another one to nest them")
        self._calls, self._one_step = {}, set()
        with ExitStack() as hooks:
            for path, module in recurrent_modules(self._model):
                for handle in self._watch(path, module):
                    hooks.callback(handle.remove)
            self._watching = hooks.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._watching is not None
        self._watching.close()
        self._watching = None

    def _watch(self, path: str, module: Layer | OneStep) -> list[Any]:
        """Hooks on one module; each appends to this trace."""
        if isinstance(module, Recurrent):
            return [self._watch_own(path, module)]
        if isinstance(module, (RecurrentCell, nn.RNNCellBase)):

            def after_step(module: Any, args: tuple, kwargs: dict, output: Any) -> Any:
                input, hx = _arguments(module, args, kwargs)
                record = black_box.record_step(module, input, hx, output)
                if self._gradients:
                    record, output = black_box.observed_step(record, output)
                self._add_step(path, record)
                return output

            return [module.register_forward_hook(_Hook(after_step), with_kwargs=True)]

        # What each thread that runs it has before its call: the generator's state, and what watches
        # a twin that runs in the module's place.
        states: dict[int, tuple[Any, Any]] = {}

        def forget(thread: int | None = None) -> None:
            for each in list(states) if thread is None else [thread]:
                _, watching = states.pop(each, (None, None))
                if watching is not None:
                    watching.remove()

        def before(module: Any, args: tuple) -> None:
            forget(_thread())  # of a call that failed
            twin = active_twin(module)
            watching = None if twin is None else self._watch_own(path, twin)
            states[_thread()] = black_box.random_state_before(module), watching

        def after(module: Any, args: tuple, kwargs: dict, output: Any) -> Any:
            random_state, watching = states[_thread()]
            forget(_thread())
            if watching is not None:  # the twin has shown what it computed
                return output
            input, hx = _arguments(module, args, kwargs)
            gradients: list[GradientRecord] = []
            if self._gradients:
                output, gradients = beside.followed(module, input, hx, output, random_state)
            records = black_box.record_layer(module, input, hx, output, random_state)
            for k, found in enumerate(gradients):
                call = records[k].call._replace(gradients=found)
                records[k] = replace(records[k], call=call)
            self._add(path, records)
            return output

        return [
            module.register_forward_pre_hook(_Hook(before)),
            module.register_forward_hook(_Hook(after), with_kwargs=True),
            _AtTheEnd(forget),
        ]

    def _watch_own(self, path: str, module: Any) -> Any:
        return module.register_record_hook(
            lambda _, records: self._add(path, records), gradients=self._gradients
        )

    def _add(self, path: str, records: Iterable[LayerRecord]) -> None:
        for record in records:
            name = full_name(path, record.name)
            if self._wants(name):
                self._calls.setdefault(name, []).append(LayerTrace.of(name, record))

    def _add_step(self, path: str, record: LayerRecord) -> None:
        name = path or "cell"
        if self._wants(name):
            self._one_step.add(name)
            self._calls.setdefault(name, []).append(LayerTrace.of(name, record))

    def _wants(self, name: str) -> bool:
        patterns = self._patterns
        return patterns is None or any(fnmatchcase(name, each) for each in patterns)

    # Reading

    @property
    def names(self) -> tuple[str, ...]:
        """The layers recorded, in the order in which they first ran."""
        return tuple(self._calls)

    def calls(self, name: str) -> list[LayerTrace]:
        """Every call of a layer, in order.

        Raises:
            UnknownLayer: nothing was recorded under this name.
        """
        if name not in self._calls:
            known = ", ".join(self.names) or "nothing: the model has not run inside the block"
            raise UnknownLayer(f"{name!r} is not in this trace; it holds {known}")
        return list(self._calls[name])

    def __getitem__(self, name: str | tuple[str, int]) -> LayerTrace:
        """`trace["encoder.l0"]`, or `trace["encoder.l0", k]` for call k if there were several.

        Raises:
            UnknownLayer: nothing was recorded under this name.
            InputError: the layer ran several times and the call is not said.
        """
        if isinstance(name, tuple):
            name, k = name
            several = self.calls(name)
            if not -len(several) <= k < len(several):
                raise InputError(f"{name!r} ran {len(several)} times; there is no call {k}")
            return several[k]
        calls = self.calls(name)
        if name in self._one_step:
            return joined(calls)
        if len(calls) > 1:
            raise InputError(
                f"{name!r} ran {len(calls)} times inside the block; say which call, "
                f'trace["{name}", 0] to trace["{name}", {len(calls) - 1}], or take trace.calls(...)'
            )
        return calls[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, name: object) -> bool:
        return name in self._calls

    def items(self) -> Iterator[tuple[str, LayerTrace]]:
        """(name, layer) for every layer; for one that ran several times, every call."""
        for name, calls in self._calls.items():
            is_sequence = name in self._one_step and are_steps(calls)
            yield from ((name, layer) for layer in ((joined(calls),) if is_sequence else calls))

    def __str__(self) -> str:
        return table(self.items())

    def __getattr__(self, name: str) -> Any:
        # only what is not there: most often something of a layer's, asked of the trace of all
        known = list(self.__dict__.get("_calls", ()))
        hint = f'; ask one of its layers, trace["{known[0]}"]' if known else ""
        raise AttributeError(f"a Trace has no {name!r}{hint}")

    def __repr__(self) -> str:
        return f"<Trace of {', '.join(self.names) or 'nothing yet'}>"

    # Keeping

    def save(self, path: str | Path) -> None:
        """Writes the trace to a safetensors file, whole or not at all."""
        storage.save(self.items(), path)


def load_trace(path: str | Path) -> Trace:
    """A trace from the file that `Trace.save` wrote. Nothing is unpickled.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file is not a trace.
    """
    trace = Trace.__new__(Trace)
    trace._model, trace._patterns, trace._watching = nn.Module(), None, None
    trace._gradients = False
    trace._calls, trace._one_step = {}, set()
    for layer in storage.load(path):
        trace._calls.setdefault(layer.name, []).append(layer)
    return trace


class _Hook:
    """A hook that watches the module it was put on, and not the module's copies."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self.run = run

    def __call__(self, *args: Any) -> Any:
        return self.run(*args)

    def __reduce__(self) -> tuple:  # how it is copied and pickled
        return _Hook, (_look_away,)


def _thread() -> int:
    """Which thread this is; a compiler, which sees a hook as code of one thread, cannot ask."""
    return 0 if torch.compiler.is_compiling() else get_ident()


def _look_away(*_: Any) -> None:
    pass


class _AtTheEnd:
    """What is to be done when hooks are removed, in the form of a hook's handle."""

    def __init__(self, remove: Callable[[], None]) -> None:
        self.remove = remove


def _check_patterns(patterns: tuple[str, ...], names: list[str]) -> None:
    idle = [each for each in patterns if not any(fnmatchcase(name, each) for name in names)]
    if idle or not patterns:
        found = ", ".join(repr(each) for each in idle) or "none"
        raise InputError(f"layers: expected some of {', '.join(names)}, got {found}")


def _arguments(module: nn.Module, args: tuple, kwargs: dict) -> tuple[Any, Any]:
    """input and hx of a forward call, however they were passed and whatever they are called."""
    given = list(inspect.signature(module.forward).bind(*args, **kwargs).arguments.values())
    return given[0], given[1] if len(given) > 1 else None
