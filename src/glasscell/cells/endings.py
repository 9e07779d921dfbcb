"""How the equation of a quantity ends: by chance, then by edits. And the way back through both."""

import torch
from torch import Tensor

from glasscell.cells.cell import Cell, Step, StepGradient, added, part
from glasscell.cells.edits import StepEdits
from glasscell.cells.gates import GateMap, Weights
from glasscell.cells.noise import StepNoise


def opened(gate: GateMap, v: Tensor, edits: StepEdits, noise: StepNoise) -> Tensor:
    """(B, H) a gate's value, from what goes into its squash."""
    return edits.apply(gate.name, noise.gate(gate, v))


class GatesBackward:
    """The way back through the gates of one step, in any order: from what a step went on with to
    what goes into the squash.
    """

    def __init__(
        self, cell: Cell, d: StepGradient, step: Step, edits: StepEdits, noise: StepNoise
    ) -> None:
        self._gates, self._d, self._edits = cell.gates, d, edits
        self._slopes = cell.slopes(step, edits, noise)
        self._dgates: dict[int, Tensor] = {}
        self._dpre: dict[int, Tensor] = {}

    def through(self, gate: GateMap, dq: Tensor) -> Tensor:
        """(B, H) dL/d(what goes into this gate's squash), from dL/d(its value) by all that reads
        it in this step.
        """
        k = self._gates.index(gate)
        self._dgates[k] = added(dq, part(self._d.gates, k))
        own = self._edits.backward(gate.name, self._dgates[k])
        self._dpre[k] = added(own * self._slopes[k], part(self._d.pre, k))
        return self._dpre[k]

    @property
    def dgates(self) -> Tensor:
        """(B, G, H) dL/d(each gate)."""
        return torch.stack([self._dgates[k] for k in range(len(self._gates))], -2)

    @property
    def dpre(self) -> Tensor:
        """(B, G, H) dL/d(what goes into each squash)."""
        return torch.stack([self._dpre[k] for k in range(len(self._gates))], -2)


def hidden_state(
    m: Tensor, h_prev: Tensor, w: Weights, edits: StepEdits, noise: StepNoise
) -> Tensor:
    """h_t = V m_t (B, P); without a projection m_t (B, H)."""
    h_new = m if w.V is None else m @ w.V.T
    return edits.apply("hidden", noise.held("hidden", h_new, h_prev))


def hidden_backward(
    d: StepGradient, step: Step, edits: StepEdits, noise: StepNoise
) -> tuple[Tensor, Tensor | None]:
    """dL/d(the new hidden state), and dL/dh_{t-1} along what zoneout holds; (B, P) each."""
    dh = torch.zeros_like(step.h) if d.h is None else edits.backward("hidden", d.h)
    return noise.held_backward("hidden", dh)


def cell_state(
    c_new: Tensor, c_prev: Tensor, edits: StepEdits, noise: StepNoise
) -> tuple[Tensor, Tensor]:
    """c_t, and what the hidden state shows of it; (B, H) each."""
    c_t = edits.apply("cell", noise.held("cell", c_new, c_prev))
    return c_t, edits.apply("cell", c_new) if "cell" in noise.stays else c_t


def cell_state_backward(
    dc: Tensor, dshown: Tensor, edits: StepEdits, noise: StepNoise
) -> tuple[Tensor, Tensor, Tensor | None]:
    """dL/dc_t, what is shown of it included; dL/d(the new cell state); and dL/dc_{t-1} along what
    zoneout holds; (B, H) each.
    """
    dc_new, dc_held = noise.held_backward("cell", edits.backward("cell", dc))
    return dc + dshown, dc_new + edits.backward("cell", dshown), dc_held
