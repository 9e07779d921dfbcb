"""What every cell is: its gates, one step, and the step's backward written out.

A cell is a definition, not a module: it holds no weights. Engines run it over sequences, layers
own the weights, traces and figures read its names from here.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import groupby

import torch
from torch import Tensor

from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.gates import (
    HARD_SIGMOID,
    READ_THROUGH,
    SIGMOID,
    GateMap,
    Squash,
    Weights,
    input_term,
    recurrent_term,
)
from glasscell.cells.noise import NOISELESS, StepNoise


@dataclass(frozen=True)
class Step:
    """All that one step computed, for B sequences. With T*B rows it describes many steps."""

    pre: Tensor  # (B, G, H)  what goes into each squash
    gates: Tensor  # (B, G, H)  what comes out of it, after any edit: what the step went on with
    h: Tensor  # (B, P)  h_t
    c: Tensor | None = None  # (B, C*H)  c_t, for cells that have a cell state, and what follows it
    q: Tensor | None = None  # (B, H)  the recurrent term that a gate multiplies (GRU)


@dataclass(frozen=True)
class StepGradient:
    """dL/d(each tensor of a step), named as in `Step`; None where the loss does not touch it."""

    h: Tensor | None  # (B, P)
    c: Tensor | None = None  # (B, C*H)
    gates: Tensor | None = None  # (B, G, H)
    pre: Tensor | None = None  # (B, G, H)


@dataclass(frozen=True)
class StepBackward:
    """What a step's backward hands on.

    The gradients of weights that are products of the two terms follow from these, over all steps
    at once; those that are not stand in `dw`.
    """

    dx_term: Tensor  # (B, X, H)  dL/d(W x_t + b_x), or of W x_t where b_x is in dw
    dh_term: Tensor  # (B, R, H)  dL/d(U h_{t-1} + b_h)
    dh_prev: Tensor  # (B, P)  dL/dh_{t-1}
    dc_prev: Tensor | None = None  # (B, C*H)  dL/dc_{t-1}
    dc: Tensor | None = None  # (B, C*H)  dL/dc_t, what comes through h_t included
    dx: Tensor | None = None  # (B, I)  dL/dx_t beside what comes through W
    dw: Mapping[str, Tensor] = field(default_factory=dict)  # by the letter in `Weights`
    dgates: Tensor | None = None  # (B, G, H)  dL/d(each gate)
    m: Tensor | None = None  # (B, H)  the hidden state before its projection, for dL/dV
    dVm: Tensor | None = None  # (B, P)  dL/d(what the projection gave), before any edit


class Cell(ABC):
    """A recurrent cell, defined once, as equations."""

    kind: str  # "lstm"
    noun: str  # "an LSTM": what sentences call it, with its article
    gates: tuple[GateMap, ...]
    carried: tuple[str, ...] = ()  # what is handed from step to step beside h: ("cell",)

    @property
    def G(self) -> int:
        """Number of gate maps, the candidate included."""
        return len(self.gates)

    @property
    def has_cell_state(self) -> bool:
        return bool(self.carried)

    @property
    def C(self) -> int:
        """Number of vectors of H that are carried beside h: the cell state, and what follows it."""
        return len(self.carried)

    def gates_in(self, letter: str) -> tuple[GateMap, ...]:
        """The gates that have rows in a weight, as they lie there: in "W" those that read x."""
        reads = READ_THROUGH.get(letter, ())
        return tuple(gate for gate in self.gates if any(v in reads for v in gate.reads))

    def rows(self, gate: GateMap, letter: str, w: Weights) -> Tensor | None:
        """A gate's own rows of W, U, b_x or b_h, a view; None where it has none, or no bias is."""
        weight: Tensor | None = getattr(w, letter)
        names = [each.name for each in self.gates_in(letter)]
        if weight is None or gate.name not in names:
            return None
        return weight.chunk(len(names))[names.index(gate.name)]

    @property
    def peepholes(self) -> tuple[str, ...]:
        """Names of the gates with a peephole, in the order of the rows of `Weights.p`."""
        return tuple(gate.name for gate in self.gates_in("p"))

    @property
    def is_stochastic(self) -> bool:
        """Whether a gate's value is drawn in training."""
        return any(gate.stochastic for gate in self.gates)

    def shapes(self, I: int, H: int, P: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """The shape of each of its weights, by the letter in `Weights`, in that order.

        Raises:
            ValueError: sizes that the cell cannot have.
        """
        X, R, K = (len(self.gates_in(letter)) for letter in ("W", "U", "p"))
        shapes: dict[str, tuple[int, ...]] = {"W": (X * H, I), "U": (R * H, P)}
        if bias:
            shapes["b_x"] = (X * H,)
        if bias and R:
            shapes["b_h"] = (R * H,)
        if P != H:
            shapes["V"] = (P, H)
        if K:
            shapes["p"] = (K, H)
        return shapes

    @property
    def state(self) -> str:
        """The name of the state that carries the memory: "cell" where there is one, or "hidden"."""
        return "cell" if self.has_cell_state else "hidden"

    @property
    def keeping(self) -> tuple[GateMap, int] | None:
        """The gate that says how much of that state stays, and 1; or -1 where it says so by its
        complement, so that the more it opens, the less stays. None where no gate says it: the state
        is written anew at each step, or all of it stays.
        """
        return None

    @property
    def keeping_gate(self) -> GateMap | None:
        """The gate by which the more of that state stays the more it opens; None where there is
        none, as where one says it by its complement.
        """
        found = self.keeping
        return found[0] if found is not None and found[1] > 0 else None

    def sum_at(self, gate: GateMap, odds: Tensor) -> Tensor | None:
        """What goes into a gate's squash where it is to be open at odds / (1 + odds); None where
        its squash gives no odds.
        """
        if gate.squash is HARD_SIGMOID:
            return 6 * odds / (1 + odds) - 3
        return odds.log() if gate.squash is SIGMOID else None

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
        states = (*self.carried, "hidden")
        return tuple(gate.name for gate in self.gates if gate.name not in states) + states

    def activate(self, pre: Tensor) -> Tensor:
        """Each gate's own squash: (..., G, H) before activation -> (..., G, H) after."""
        parts, k = [], 0
        for squash, gates in groupby(gate.squash for gate in self.gates):
            n = len(list(gates))
            parts.append(squash.apply(pre[..., k : k + n, :]))
            k += n
        return parts[0] if len(parts) == 1 else torch.cat(parts, -2)

    def slopes(self, step: Step, edits: StepEdits, noise: StepNoise) -> tuple[Tensor, ...]:
        """(B, H) each: d(a gate's value, before any edit of it)/d(what went into its squash)."""
        slopes = []
        for k, gate in enumerate(self.gates):
            pre, own = step.pre[..., k, :], step.gates[..., k, :]
            if gate.name in edits.of:
                own = noise.gate(gate, pre)
            slopes.append(noise.slope(gate, pre, own))
        return tuple(slopes)

    @abstractmethod
    def preactivations(self, x: Tensor, h: Tensor, w: Weights) -> tuple[Tensor, Tensor | None]:
        """(B, G, H) what the squashes get from x_t and h_{t-1}, before any peephole, and `q`.

        Needs no state but h_{t-1}, so given the hidden states of a whole sequence it gives all
        steps at once: that is what replay rests on.
        """

    @abstractmethod
    def step(
        self,
        x: Tensor,
        h: Tensor,
        c: Tensor | None,
        w: Weights,
        edits: StepEdits = UNEDITED,
        noise: StepNoise = NOISELESS,
    ) -> Step:
        """One step: x_t (B, I), h_{t-1} (B, P), c_{t-1} (B, C*H) or None."""

    @abstractmethod
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
        """The backward of `step`: d is dL/d(step), h and c are h_{t-1} and c_{t-1}."""


def summed_terms(x: Tensor, h: Tensor, w: Weights, G: int) -> Tensor:
    """W x_t + b_x + U h_{t-1} + b_h for all gates, (B, G, H); W x_t + b_x where none reads h."""
    from_x = input_term(x, w, G)
    return from_x + recurrent_term(h, w, G) if len(w.U) else from_x


def summed_backward(dpre: Tensor, w: Weights, noise: StepNoise) -> tuple[Tensor, Tensor]:
    """dL/d(U h_{t-1} + b_h) (B, R, H) and dL/dh_{t-1} (B, P), where the sums are those above."""
    dh_term = dpre if len(w.U) else dpre[..., :0, :]
    return dh_term, noise.read(dh_term.flatten(-2) @ w.U)


def require_parts(cell: Cell) -> None:
    """Raises ValueError where a field of a definition holds what is no such part."""
    for each in fields(cell):  # type: ignore[arg-type]
        usual, value = each.default, getattr(cell, each.name)
        if isinstance(usual, GateMap):
            if value is None and "None" in str(each.type):
                continue
            if not isinstance(value, GateMap):
                raise ValueError(f"{each.name}: expected a gate map, got {value!r}")
            if (value.name, value.letter) != (usual.name, usual.letter):
                raise ValueError(
                    f"{each.name}: expected its own name and letter, {usual.name!r} and "
                    f"{usual.letter!r}, got {value.name!r} and {value.letter!r}"
                )
        elif isinstance(usual, Squash) and not isinstance(value, Squash):
            raise ValueError(f"{each.name}: expected a squash, such as tanh, got {value!r}")
        elif isinstance(usual, bool) and not isinstance(value, bool):
            raise ValueError(f"{each.name}: expected True or False, got {value!r}")


def require_reads(cell: Cell, *allowed: tuple[GateMap | None, str]) -> None:
    """Raises ValueError where a gate is said to read what the cell's equations do not give it, or a
    part of the definition is none.

    Args:
        allowed: each gate that is there or could be, and what it reads, in order, with what may be
            left out in brackets: "x [h] [c_prev]".
    """
    require_parts(cell)
    for gate, words in allowed:
        if gate is None:
            continue
        needed = {word for word in words.split() if "[" not in word}
        known = [word.strip("[]") for word in words.split()]
        if gate.reads != tuple(v for v in known if v in gate.reads) or needed - {*gate.reads}:
            raise ValueError(
                f"{gate.name}: {cell.noun} runs it reading {words}, got {' '.join(gate.reads)}"
            )


def require_one_past(cell: Cell) -> None:
    """Raises ValueError where some gates read h_{t-1} and others do not."""
    readers = cell.gates_in("U")
    if readers and len(readers) < cell.G:
        told = ", ".join(gate.name for gate in readers)
        raise ValueError(
            f"reads: expected all gates of {cell.noun} to read h or none, got it for {told}"
        )


def added(a: Tensor, b: Tensor | None) -> Tensor:
    """a + b, where b may be absent: a gradient that did not come."""
    return a if b is None else a + b


def part(d: Tensor | None, k: int) -> Tensor | None:
    """Gate k of a (B, G, H) gradient that may be absent."""
    return None if d is None else d[..., k, :]
