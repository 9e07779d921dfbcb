"""A cell of the user's own: a step written in Python, with gates that can be read and edited."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from glasscell.cells.cell import Cell, Step, StepBackward, StepGradient, summed_terms
from glasscell.cells.differentiated import differentiated
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Weights
from glasscell.cells.noise import NOISELESS, StepNoise


class Now:
    """What a step that a user wrote is given: x_t, what was carried here, and its gates.

    Attributes:
        x: (B, I) the input.
        h: (B, H) the hidden state of the step before.
        sums: W x_t + b_x + U h_{t-1} + b_h of each gate, (B, H), by the gate's name.
    """

    def __init__(
        self,
        cell: "Custom",
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits,
        noise: StepNoise,
    ) -> None:
        self._cell, self._edits, self._noise = cell, edits, noise
        self.x, self.h = x, h
        names = [gate.name for gate in cell.gates]
        sums = summed_terms(x, noise.read(h), w, cell.G).unbind(-2)
        self.sums: dict[str, Tensor] = dict(zip(names, sums, strict=True))
        before = () if c is None else c.chunk(cell.C, -1)
        self._before: dict[str, Tensor] = dict(zip(cell.carried, before, strict=True))
        self._pre: dict[str, Tensor] = {}
        self._gates: dict[str, Tensor] = {}
        self._after: dict[str, Tensor] = {}

    def gate(self, name: str, v: Tensor | None = None) -> Tensor:
        """(B, H) a gate's value: its squash of `v`, or of its sum where that is left out."""
        maps = {gate.name: gate for gate in self._cell.gates}
        if name not in maps:
            raise ValueError(f"gate: expected one of {', '.join(maps)}, got {name!r}")
        self._pre[name] = self.sums[name] if v is None else v
        value = self._noise.gate(maps[name], self._pre[name])
        self._gates[name] = self._edits.apply(name, value)
        return self._gates[name]

    def before(self, name: str = "cell") -> Tensor:
        """(B, H) a carried state, as the step before left it."""
        self._known(name)
        return self._before[name]

    def carry(self, value: Tensor, name: str = "cell") -> Tensor:
        """Hands a state on to the next step; (B, H), and what becomes of it after any edit. What
        zoneout holds of it is held for the next step: this one goes on with what it handed on.
        """
        self._known(name)
        held = self._noise.held(name, value, self._before[name])
        self._after[name] = self._edits.apply(name, held)
        return self._edits.apply(name, value) if name in self._noise.stays else self._after[name]

    def _known(self, name: str) -> None:
        if name not in self._cell.carried:
            carried = ", ".join(self._cell.carried) or "nothing"
            raise ValueError(f"carried: this cell carries {carried} beside h, got {name!r}")

    def _step(self, h: Any) -> Step:
        """What the user's function left."""
        cell = self._cell
        if not isinstance(h, Tensor) or h.shape != self.h.shape:
            found = tuple(h.shape) if isinstance(h, Tensor) else type(h).__name__
            raise ValueError(f"step: expected it to return h_t, {tuple(self.h.shape)}, got {found}")
        names = [gate.name for gate in cell.gates]
        if missing := [name for name in names if name not in self._gates]:
            raise ValueError(f"step: expected now.gate(...) of each gate, missing {missing[0]!r}")
        if missing := [name for name in cell.carried if name not in self._after]:
            raise ValueError(f"step: expected now.carry(...) of each state, missing {missing[0]!r}")
        h = self._edits.apply("hidden", self._noise.held("hidden", h, self.h))
        pre, gates = (
            torch.stack([found[name] for name in names], -2) for found in (self._pre, self._gates)
        )
        states = [self._after[name] for name in cell.carried]
        return Step(pre, gates, h, torch.cat(states, -1) if states else None)


@dataclass(frozen=True)
class Custom(Cell):
    """A cell whose step is a Python function. The reference engine runs it, and no other.

    Every gate reads x_t and h_{t-1}. The function is given a `Now` and returns h_t. What it does
    must be torch operations that autograd knows: its backward is autograd's.

    Args:
        function: the step.
        gates: the gate maps, in the order of the weights' rows.
        carried: names of what is handed on beside h, "cell" first; may be empty.

    Example:
        >>> from glasscell.cells import Custom, Now
        >>> def leaky(now: Now) -> torch.Tensor:  # a cell state that leaks by itself
        ...     i, g = now.gate("input_gate"), now.gate("candidate")
        ...     return torch.tanh(now.carry(0.9 * now.before() + i * g))
        >>> layer = glasscell.LSTM(3, 8, cell=Custom(leaky, gates=("input_gate", "candidate")))
        >>> with glasscell.trace(layer) as trace:
        ...     output, (h_n, c_n) = layer(x)
        >>> trace["l0"].input_gate.shape
        torch.Size([35, 4, 8])
    """

    function: Callable[[Now], Tensor]
    gates: tuple[GateMap, ...] = field()  # type: ignore[assignment]
    carried: tuple[str, ...] = ("cell",)

    kind = "custom"

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ValueError(f"function: expected a function, got {type(self.function).__name__}")
        maps = tuple(_gate_map(gate) for gate in self.gates)
        if not maps or len({gate.name for gate in maps}) < len(maps):
            raise ValueError("gates: expected one or more, each with a name of its own")
        object.__setattr__(self, "gates", maps)
        if self.carried and self.carried[0] != "cell":
            raise ValueError(f'carried: expected "cell" first, got {self.carried}')

    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, None]:
        return summed_terms(x, h, w, self.G), None

    def step(
        self,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
        noise: StepNoise = NOISELESS,
    ) -> Step:
        now = Now(self, x, h, c, w, edits, noise)
        return now._step(self.function(now))

    def step_backward(
        self,
        d: StepGradient,
        step: Step,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
        noise: StepNoise = NOISELESS,
    ) -> StepBackward:
        return differentiated(self, d, x, h, c, w, edits, noise)


def _gate_map(gate: GateMap | str) -> GateMap:
    """A gate map from its name alone: a gate proper ends in a sigmoid, a candidate in tanh."""
    if isinstance(gate, GateMap):
        if gate.reads != ("x", "h"):
            raise ValueError(f"{gate.name}: expected reads=('x', 'h'), got {gate.reads}")
        return gate
    # a candidate is g, as an LSTM's: c is the cell state
    letter = "g" if gate == "candidate" else gate[0]
    return GateMap(gate, letter, SIGMOID if gate.endswith("gate") else TANH)
