"""What every cell is: its gates, one step, and the step's backward written out.

A cell is a definition, not a module: it holds no weights. Engines run it over sequences, layers
own the weights, traces and figures read its names from here.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.gates import GateMap, Weights, input_term, recurrent_term


@dataclass(frozen=True)
class Step:
    """All that one step computed, for B sequences. With T*B rows it describes many steps."""

    pre: Tensor  # (B, G, H)  what goes into each squash
    gates: Tensor  # (B, G, H)  what comes out of it, after any edit: what the step went on with
    h: Tensor  # (B, P)  h_t
    c: Tensor | None = None  # (B, H)  c_t, for cells that have a cell state
    q: Tensor | None = None  # (B, H)  the recurrent term that a gate multiplies (GRU)


@dataclass(frozen=True)
class StepGradient:
    """dL/d(each tensor of a step), named as in `Step`; None where the loss does not touch it."""

    h: Tensor | None  # (B, P)
    c: Tensor | None = None  # (B, H)
    gates: Tensor | None = None  # (B, G, H)
    pre: Tensor | None = None  # (B, G, H)


@dataclass(frozen=True)
class StepBackward:
    """What a step's backward hands on."""

    dx_term: Tensor  # (B, G, H)  dL/d(W x_t + b_x)
    dh_term: Tensor  # (B, G, H)  dL/d(U h_{t-1} + b_h)
    dh_prev: Tensor  # (B, P)  dL/dh_{t-1}
    dc_prev: Tensor | None = None  # (B, H)  dL/dc_{t-1}
    dc: Tensor | None = None  # (B, H)  dL/dc_t, what comes through h_t included
    dgates: Tensor | None = None  # (B, G, H)  dL/d(each gate)
    m: Tensor | None = None  # (B, H)  the hidden state before its projection, for dL/dV
    dVm: Tensor | None = None  # (B, P)  dL/d(what the projection gave), before any edit


class Cell(ABC):
    """A recurrent cell, defined once, as equations."""

    kind: str  # "lstm"
    gates: tuple[GateMap, ...]
    has_cell_state: bool

    @property
    def G(self) -> int:
        """Number of gate maps, the candidate included."""
        return len(self.gates)

    @property
    def state(self) -> str:
        """The name of the state that carries the memory: "cell" where there is one, or "hidden"."""
        return "cell" if self.has_cell_state else "hidden"

    @property
    def keeping_gate(self) -> GateMap | None:
        """The gate that says how much of that state stays; None if it is written anew each step."""
        return None

    def carry(self, gates: Tensor) -> tuple[Tensor, Tensor] | None:
        """What stays of the state and what is written to it: state_t = keep * state_{t-1} + write.

        Args:
            gates: (..., G, H) after activation.
        Returns:
            keep and write, (..., H) each; None where the state is written anew each step.
        """
        return None

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what can be read of a step: the gates, then the states."""
        states = ("cell", "hidden") if self.has_cell_state else ("hidden",)
        return tuple(gate.name for gate in self.gates if gate.name not in states) + states

    def activate(self, pre: Tensor) -> Tensor:
        """Each gate's own squash: (..., G, H) before activation -> (..., G, H) after."""
        parts, k = [], 0
        for squash, gates in groupby(gate.squash for gate in self.gates):
            n = len(list(gates))
            parts.append(squash.apply(pre[..., k : k + n, :]))
            k += n
        return parts[0] if len(parts) == 1 else torch.cat(parts, -2)

    def squashed(self, step: Step, edits: StepEdits) -> Tensor:
        """(B, G, H) what came out of each squash: the step's gates, before any edit of them."""
        edited = any(gate.name in edits.of for gate in self.gates)
        return self.activate(step.pre) if edited else step.gates

    @abstractmethod
    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, Tensor | None]:
        """(B, G, H) what the squashes get from x_t and h_{t-1}, before any peephole, and `q`.

        Needs no state but h_{t-1}, so given the hidden states of a whole sequence it gives all
        steps at once: that is what replay rests on.
        """

    @abstractmethod
    def step(
        self, x: Tensor, h: Tensor, c: Tensor | None, w: Weights, edits: StepEdits = UNEDITED
    ) -> Step:
        """One step: x_t (B, I), h_{t-1} (B, P), c_{t-1} (B, H) or None."""

    @abstractmethod
    def step_backward(
        self,
        d: StepGradient,
        step: Step,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
    ) -> StepBackward:
        """The backward of `step`: d is dL/d(step), h and c are h_{t-1} and c_{t-1}."""


def summed_terms(x: Tensor, h: Tensor, w: Weights, G: int) -> Tensor:
    """W x_t + b_x + U h_{t-1} + b_h for all gates, (B, G, H)."""
    return input_term(x, w, G) + recurrent_term(h, w, G)


def require_reads(cell: Cell, allowed: dict[str, tuple[tuple[str, ...], ...]]) -> None:
    """Raises ValueError where a gate is said to read what the cell's equations do not give it."""
    for field, gate in vars(cell).items():
        if isinstance(gate, GateMap) and gate.reads not in allowed.get(field, (("x", "h"),)):
            raise ValueError(
                f"{field}: a {cell.kind} runs it reading "
                f"{' or '.join(map(str, allowed.get(field, (('x', 'h'),))))}, got {gate.reads}"
            )


def added(a: Tensor, b: Tensor | None) -> Tensor:
    """a + b, where b may be absent: a gradient that did not come."""
    return a if b is None else a + b


def part(d: Tensor | None, k: int) -> Tensor | None:
    """Gate k of a (B, G, H) gradient that may be absent."""
    return None if d is None else d[..., k, :]
