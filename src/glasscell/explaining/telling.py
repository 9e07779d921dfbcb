"""What is told of a step of a cell: its parts in the order in which they are computed.

A `Telling` is made from a cell's definition by the functions in `glasscell.explaining.kinds`, one
for each kind of cell. It has no numbers: those are the step's own, and each equation is worked
out with them to see that it tells the truth.
"""

from dataclasses import dataclass, field

from glasscell.cells import GateMap
from glasscell.explaining.expressions import Expression


@dataclass(frozen=True)
class Told:
    """An equation: the name on its left, and what stands on its right."""

    left: str
    right: Expression

    @property
    def latex(self) -> str:
        return f"{self.left} = {self.right.latex}"


@dataclass(frozen=True)
class Weight:
    """A matrix of a gate: its name, what it multiplies, and words for what comes in."""

    name: str
    times: Expression
    incoming: str  # "inputs"


@dataclass(frozen=True)
class GatePart:
    """A gate: what leads to its sum, the sum, and what is made of it.

    Attributes:
        gate: its map.
        symbol: the name of its value: "f_t".
        purpose: what it is for, in a sentence or two.
        pre: what goes into its squash; None where a step of one's own decides that.
        value: its value, in which the sum's name stands for the sum; None where that is told later.
        shown: the same with the sum itself in it, as it is read.
        before: what the sum needs.
        weights: its matrices.
        vectors: names of its other weights, with words for them: "b_f", "a bias".
        is_apart: whether its sum is read by itself, as something else takes it, too.
    """

    gate: GateMap
    symbol: str
    purpose: str
    pre: Told | None
    value: Told | None
    shown: Told
    before: tuple[Told, ...] = ()
    weights: tuple[Weight, ...] = ()
    vectors: tuple[tuple[str, str], ...] = ()
    is_apart: bool = False

    @property
    def sums(self) -> tuple[Told, ...]:
        """What leads to its squash."""
        return self.before if self.pre is None else (*self.before, self.pre)

    @property
    def equations(self) -> tuple[Told, ...]:
        """All of them, each with one name for each thing computed."""
        return self.sums if self.value is None else (*self.sums, self.value)

    @property
    def read(self) -> tuple[Told, ...]:
        """Its equations as one reads them, the sum put into the squash."""
        return self.equations if self.is_apart else (*self.before, self.shown)


@dataclass(frozen=True)
class StatePart:
    """What a step makes of its gates: a state, or what leads to it.

    Attributes:
        title: with markup.
        words: what it is for: a sentence or two.
        equations: in order.
        means: what comes out, by its name in an equation, in words.
    """

    title: str
    words: tuple[str, ...]
    equations: tuple[Told, ...]
    means: dict[str, str] = field(default_factory=dict)

    @property
    def read(self) -> tuple[Told, ...]:
        return self.equations


Part = GatePart | StatePart


@dataclass(frozen=True)
class Telling:
    """All that is told of a cell's step.

    Attributes:
        called: "an LSTM".
        parts: in the order in which they are computed.
        remarks: what is left out or shared, in sentences with markup.
        definitions: of functions that not everybody knows, in LaTeX.
        shows: what of the memory is shown, and the symbol of the gate that says how much of it, or
            None; None as a whole where the state is shown as it is.
        letters: the letters of what is carried beside h, by its name in the cell.
    """

    called: str
    parts: tuple[Part, ...]
    remarks: tuple[str, ...] = ()
    definitions: tuple[str, ...] = ()
    shows: tuple[Expression, str | None] | None = None
    letters: dict[str, str] = field(default_factory=dict)

    @property
    def equations(self) -> tuple[Told, ...]:
        """All of them, each with one name for each thing computed: what is checked."""
        return tuple(each for part in self.parts for each in part.equations)

    @property
    def read(self) -> tuple[Told, ...]:
        """All of them as one reads them."""
        return tuple(each for part in self.parts for each in part.read)

    @property
    def gates(self) -> tuple[GatePart, ...]:
        """The parts about gates."""
        return tuple(part for part in self.parts if isinstance(part, GatePart))


@dataclass(frozen=True)
class Setting:
    """What of a run changes the equations of its cell.

    Attributes:
        biased: whether there are biases.
        projected: whether the hidden state is a projection.
        drawn: names of the gates whose values are drawn.
        held: which states zoneout acts on: "cell", "hidden".
        masked: whether dropout masks what the products read of h_{t-1}.
        remade: names of gates of which a step of one's own squashes something else than their sum.
    """

    biased: bool = True
    projected: bool = False
    drawn: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    masked: bool = False
    remade: frozenset[str] = frozenset()
