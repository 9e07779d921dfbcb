"""What a formula consists of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Things side by side."""

    items: tuple["Node", ...]


@dataclass(frozen=True)
class Letter:
    """A variable or symbol: f, σ, ∞."""

    text: str


@dataclass(frozen=True)
class Number:
    """A number: 0.97."""

    text: str


@dataclass(frozen=True)
class Operator:
    """A sign between or around things: =, ⊙, (."""

    text: str


@dataclass(frozen=True)
class Word:
    """Upright words: a function's name (tanh), or text among the maths."""

    text: str
    is_function: bool = False
    bold: bool = False


@dataclass(frozen=True)
class Space:
    """Room."""

    text: str


@dataclass(frozen=True)
class Scripts:
    """Something with an index, a power, or both; a sum or product with its bounds."""

    base: "Node"
    below: "Node | None" = None
    above: "Node | None" = None


@dataclass(frozen=True)
class Fraction:
    """One thing over another."""

    above: "Node"
    below: "Node"


@dataclass(frozen=True)
class Root:
    """A square root."""

    inside: "Node"


@dataclass(frozen=True)
class Accent:
    """A bar, a hat, or a brace, with what stands under the brace."""

    base: "Node"
    mark: str
    note: "Node | None" = None


@dataclass(frozen=True)
class Grid:
    """A matrix: rows of things, in brackets or not."""

    rows: tuple[tuple["Node", ...], ...]
    left: str = ""
    right: str = ""
    kind: str = "matrix"


Node = Row | Letter | Number | Operator | Word | Space | Scripts | Fraction | Root | Accent | Grid
