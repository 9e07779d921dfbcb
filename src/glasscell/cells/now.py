"""What a step that a user wrote is given: the input, what was carried, and gates to open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasscell.cells.cell import Step, summed_terms
from glasscell.cells.edits import StepEdits
from glasscell.cells.endings import opened
from glasscell.cells.gates import Weights
from glasscell.cells.noise import StepNoise

if TYPE_CHECKING:
    from glasscell.cells.custom import Custom


class Now:
    """What a step that a user wrote is given: x_t, what was carried here, and its gates.

    Attributes:
        x: (B, I) the input, a copy.
        h: (B, H) the hidden state of the step before, a copy.
        sums: W x_t + b_x + U h_{t-1} + b_h of each gate, (B, H), by the gate's name.
    """

    def __init__(
        self,
        cell: Custom,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits,
        noise: StepNoise,
    ) -> None:
        self._cell, self._edits, self._noise = cell, edits, noise
        # copies, so that what a step changes in place is its own
        self.x, self.h, self._h = x.clone(), h.clone(), h
        names = [gate.name for gate in cell.gates]
        sums = summed_terms(x, noise.read(h), w, cell.G).unbind(-2)
        self.sums: dict[str, Tensor] = dict(zip(names, sums, strict=True))
        before = () if c is None else c.chunk(cell.C, -1)
        self._held: dict[str, Tensor] = dict(zip(cell.carried, before, strict=True))
        self._before = {name: state.clone() for name, state in self._held.items()}
        self._pre: dict[str, Tensor] = {}
        self._gates: dict[str, Tensor] = {}
        self._after: dict[str, Tensor] = {}

    def gate(self, name: str, v: Tensor | None = None) -> Tensor:
        """(B, H) a gate's value: its squash of `v`, or of its sum where that is left out."""
        maps = {gate.name: gate for gate in self._cell.gates}
        if name not in maps:
            raise ValueError(f"gate: expected one of {', '.join(maps)}, got {name!r}")
        if v is not None:
            _require_like(f"gate({name!r}, ...) of a tensor", v, self.sums[name])
        self._pre[name] = self.sums[name] if v is None else v
        self._gates[name] = opened(maps[name], self._pre[name], self._edits, self._noise)
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
        _require_like(f"carry(..., {name!r}) of a tensor", value, self._held[name])
        held = self._noise.held(name, value, self._held[name])
        self._after[name] = self._edits.apply(name, held)
        return self._edits.apply(name, value) if name in self._noise.stays else self._after[name]

    def _known(self, name: str) -> None:
        if name not in self._cell.carried:
            carried = ", ".join(self._cell.carried) or "nothing"
            raise ValueError(f"carried: this cell carries {carried} beside h, got {name!r}")


def step_of(now: Now, h: Any) -> Step:
    """What the user's function left, which gave back h."""
    cell = now._cell
    _require_like("it to return h_t", h, now._h)
    names = [gate.name for gate in cell.gates]
    if missing := [name for name in names if name not in now._gates]:
        raise ValueError(f"step: expected now.gate(...) of each gate, missing {missing[0]!r}")
    if missing := [name for name in cell.carried if name not in now._after]:
        raise ValueError(f"step: expected now.carry(...) of each state, missing {missing[0]!r}")
    h = now._edits.apply("hidden", now._noise.held("hidden", h, now._h))
    pre, gates = (
        torch.stack([found[name] for name in names], -2) for found in (now._pre, now._gates)
    )
    states = [now._after[name] for name in cell.carried]
    return Step(pre, gates, h, torch.cat(states, -1) if states else None)


def _require_like(what: str, found: Any, like: Tensor) -> None:
    if not isinstance(found, Tensor) or found.shape != like.shape:
        told = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"step: expected {what}, {tuple(like.shape)}, got {told}")
