"""A cell of the user's own: a step written in Python, with gates that can be read and edited."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from glasscell.cells.cell import (
    Cell,
    Step,
    StepBackward,
    StepGradient,
    require_reads,
    summed_terms,
)
from glasscell.cells.differentiated import differentiated
from glasscell.cells.edits import UNEDITED, StepEdits
from glasscell.cells.gates import SIGMOID, TANH, GateMap, Weights
from glasscell.cells.noise import NOISELESS, StepNoise
from glasscell.cells.now import Now, step_of

TAKEN = ("hidden", "pre")  # names that every record has


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
    noun = "a cell of one's own"

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ValueError(f"function: expected a function, got {type(self.function).__name__}")
        maps = tuple(_gate_map(gate) for gate in self.gates)
        if not maps:
            raise ValueError("gates: expected one or more, got none")
        names = [gate.name for gate in maps] + [*self.carried]
        for name in names:
            if not name.isidentifier() or name in TAKEN or names.count(name) > 1:
                raise ValueError(
                    "gates, carried: expected each to have a name of its own, such as input_gate, "
                    f"got {name!r}"
                )
        object.__setattr__(self, "gates", maps)
        require_reads(self, *((gate, "x h") for gate in maps))
        if self.carried and self.carried[0] != "cell":
            raise ValueError(f'carried: expected "cell" first, got {self.carried}')

    @property
    def keeping(self) -> tuple[GateMap, int] | None:
        """What the user calls so: a function does not say what it keeps."""
        named = (gate for gate in self.gates if gate.name == "forget_gate")
        return next(((gate, 1) for gate in named), None)

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
        return step_of(now, self.function(now))

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
        return gate
    # a candidate is g, as an LSTM's: c is the cell state
    letter = "g" if gate == "candidate" else gate[:1]
    return GateMap(gate, letter, SIGMOID if gate.endswith("gate") else TANH)
