"""One step at a time: a recurrent layer over a sequence that has not ended yet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_bytes
from torch import Tensor

from glasscell import ops
from glasscell.cells import spec
from glasscell.engines import Call, Packing, combined, stepper
from glasscell.engines.packed import version
from glasscell.errors import InputError
from glasscell.files import write_file
from glasscell.nn import arguments
from glasscell.nn.layout import Layout
from glasscell.nn.recurrent import Recurrent

FORMAT = "glasscell stream 1"


class Stream:
    """A layer and the state it is in. Made by `glasscell.stream`.

    Attributes:
        layer: whose weights are used, without dropout and gradients. A change of them that
            autograd counts (an optimizer's step, `load_state_dict`) holds from the next step on.
        steps: how many steps have been taken.
    """

    def __init__(self, layer: Recurrent) -> None:
        self.layer = layer
        self.steps = 0
        self._h: Tensor | None = None  # (L, B, P)
        self._c: Tensor | None = None  # (L, B, C*H)
        self._single = False  # whether the step at hand is given as (I,)
        self._take_step: Any = None  # the engine's own way, for these weights and this batch
        # those that it was made for, alive so that their ids stay theirs, and in which version
        self._weights: Sequence[Tensor] = ()
        self._versions: list[tuple[int, torch.dtype, int]] = []

    def step(self, x: Tensor) -> Tensor:
        """Takes one step.

        Args:
            x: (B, I), or (I,) for a single sequence. The first step says how many sequences there
                are; those after it must have as many.
        Returns:
            (B, P) or (P,), the last layer's hidden state. A tensor of its own, which later steps
            leave alone.
        Raises:
            InputError: a shape, dtype or device that does not fit.
        """
        if not isinstance(x, Tensor):
            arguments.check_step(self.layer, x)
        if x.dim() == 1:
            self._single = True
            try:
                return self.step(x.unsqueeze(0)).squeeze(0)
            finally:
                self._single = False
        layer, h = self.layer, self._h
        if h is None or x.shape != (h.shape[1], layer.input_size):
            self._begin(x)
        elif x.dtype != h.dtype or x.device != h.device:
            arguments.check_step(layer, x)
            raise InputError(
                f"x: the stream began in {h.dtype} on {h.device}, and its layer is now in "
                f"{x.dtype} on {x.device}; reset() begins anew"
            )
        with torch.no_grad():
            # what parametrizations are made of lies in modules below
            weights = layer.parameters() if layer._modules else layer._parameters.values()
            weights = [weight for weight in weights if weight is not None]
            versions = [(id(weight), weight.dtype, version(weight)) for weight in weights]
            if len(layer._edits) > 0:
                self._take_step = None
                y = self._step_through_engines(x)
                self.steps += 1
                return y
            if self._take_step is None or versions != self._versions:
                self._weights, self._versions = weights, versions
                calls = [self._call(k, x) for k in range(layer.num_layers)]
                self._take_step = stepper(calls, layer.engine) or self._step_through_engines
            y = self._take_step(x)
        self.steps += 1
        return y

    @property
    def state(self) -> Tensor | tuple[Tensor, Tensor]:
        """A copy of the state, as the layer takes and returns it: h (L, B, P) and, where a cell
        state is carried, c (L, B, C*H): H for a cell state alone.
        """
        if self._h is None:
            raise InputError("state: there is none before the first step")
        h = self._h.clone()
        return h if self._c is None else (h, self._c.clone())

    @state.setter
    def state(self, state: Tensor | tuple[Tensor, Tensor]) -> None:
        h, *rest = state if isinstance(state, (tuple, list)) else (state,)
        arguments.check_stream_state(self.layer, (h, *rest))
        self._take_step = None
        self._h = h.detach().clone(memory_format=torch.contiguous_format)
        self._c = rest[0].detach().clone(memory_format=torch.contiguous_format) if rest else None

    def reset(self) -> None:
        """Forgets everything: the next step begins new sequences, of any number, from zeros."""
        self._h = self._c = self._take_step = None
        self.steps = 0

    def fork(self) -> "Stream":
        """A second stream in the same state, which goes its own way from here."""
        other = Stream(self.layer)
        other.steps = self.steps
        if self._h is not None:
            other._h = self._h.clone()
            other._c = None if self._c is None else self._c.clone()
        return other

    def save(self, path: str | Path) -> None:
        """Writes the state, not the weights, to a safetensors file.

        Raises:
            InputError: before the first step.
            WriteError: the file cannot be written; what was there before is still whole.
        """
        if self._h is None:
            raise InputError("save: there is no state before the first step")
        tensors = {"h": self._h.cpu()}
        if self._c is not None:
            tensors["c"] = self._c.cpu()
        cell = self.layer.cell
        header = {"format": FORMAT, "kind": cell.kind, "steps": str(self.steps)}
        if (line := spec.line_of(cell)) is not None:
            header["cell"] = line
        write_file(Path(path), save_bytes(tensors, header))

    def restore(self, path: str | Path) -> None:
        """Goes on from a state that `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            InputError: not such a file, or the state of a layer of another kind or size; the
                stream stays as it was.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file")
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("format") != FORMAT:
                    raise InputError(f"{path}: not the state of a stream")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                steps = int(header["steps"])
        except (SafetensorError, KeyError, ValueError) as problem:
            if isinstance(problem, InputError):
                raise
            raise InputError(f"{path}: not the state of a stream ({problem})") from None
        cell = self.layer.cell
        own, theirs = {"kind": cell.kind, "cell": spec.line_of(cell)}, dict(header)
        if "cell" not in theirs or own["cell"] is None:  # it tells the kind alone
            own["cell"] = theirs["cell"] = cell.kind
        if any(theirs.get(key) != own[key] for key in own) or "h" not in tensors:
            what = "kind" if theirs.get("kind") != own["kind"] else "cell"
            raise InputError(
                f"{path}: expected the state of {own[what]}, got that of {theirs.get(what)}"
            )
        weight = self.layer.weight_ih_l0
        h, c = tensors["h"], tensors.get("c")
        self.state = (
            h.to(weight.device) if c is None else (h.to(weight.device), c.to(weight.device))
        )
        self.steps = steps

    def _begin(self, x: Tensor) -> None:
        arguments.check_step(self.layer, x)
        if self._h is not None:
            raise InputError(
                f"x: expected {self._h.shape[1]} sequences, as in the steps before, "
                f"got {x.shape[0]}; reset() begins anew"
            )
        layer, B = self.layer, x.shape[0]
        self._h = x.new_zeros(layer.num_layers, B, layer.output_size)
        if layer.cell.has_cell_state:
            self._c = x.new_zeros(layer.num_layers, B, layer.carried_size)

    def _call(self, layer: int, x: Tensor) -> Call:
        """One step of one layer, on the stream's own state."""
        assert self._h is not None
        call = Call(
            cell=self.layer.cell,
            weights=self.layer.weights(layer),
            x=x if layer == 0 else self._h[layer - 1],
            packing=Packing.dense(1, x.shape[0]),
            h_0=self._h[layer],
            c_0=None if self._c is None else self._c[layer],
            noise=self.layer.chance.noise(self.layer.cell, self._h[layer], training=False),
        )
        if not self.layer._edits:
            return call
        layout = Layout(
            call.packing, batch_first=self.layer.batch_first, batched=not self._single, T=1
        )
        edits = [
            each.at_step(self.steps, layout, self.layer._width(each.quantity), call.weights.W)
            for k, _, each in self.layer._edits.values()
            if k == layer
        ]
        return call._replace(edits=combined([each for each in edits if each is not None]))

    def _step_through_engines(self, x: Tensor) -> Tensor:
        """The same through the engines' general way, which every device and dtype has."""
        assert self._h is not None
        for k in range(self.layer.num_layers):
            h, c = ops.step(self._call(k, x), self.layer.engine)
            self._h[k] = h
            if self._c is not None and c is not None:
                self._c[k] = c
        return self._h[-1].clone()

    def __getstate__(self) -> dict:
        # what an engine made for this process is made anew where it is needed
        return {**self.__dict__, "_take_step": None, "_weights": (), "_versions": []}

    def __repr__(self) -> str:
        batch = "no sequences yet" if self._h is None else f"{self._h.shape[1]} sequences"
        return f"Stream({self.layer}, {batch}, {self.steps} steps)"


def stream(layer: Recurrent) -> Stream:
    """A layer one step at a time, its state carried from step to step.

    For sequences that come as they happen: a sensor, a keyboard, a model that reads what it has
    just written. The numbers are those of the layer over the whole sequence; in half precision the
    state is rounded between steps, where a layer need not. A stream runs in the precision of its
    layer, whether autocast is on or not.

    Args:
        layer: a `glasscell.LSTM`, `GRU` or `RNN` in one direction, with any number of layers.

    Raises:
        TypeError: layer is none of these.
        InputError: layer is bidirectional, and so needs the end of a sequence first.

    Example:
        >>> stream = glasscell.stream(glasscell.LSTM(64, 128))
        >>> y = stream.step(torch.randn(1, 64))          # (1, 128)
        >>> other = stream.fork()                        # goes its own way from here
        >>> stream.save("state.safetensors")
    """
    if not isinstance(layer, Recurrent):
        raise TypeError(arguments.not_a_layer("layer", layer))
    if layer.bidirectional:
        raise InputError(
            "layer: a bidirectional layer reads from the end too, and a stream has none; "
            "a layer for streams is made with bidirectional=False"
        )
    return Stream(layer)
