"""What an explanation consists of: headings, sentences, equations, numbers, tables and figures.

Prose may hold a little markup: `**strong**`, `` `code` `` and `$maths$`; a backslash before one of
these marks takes it literally. Maths is LaTeX, as much of it as `glasscell.explaining.maths` reads.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from glasscell.errors import InputError
from glasscell.explaining import maths
from glasscell.explaining.inline import read as read_inline

Numbers: TypeAlias = Any  # a Tensor, an array, nested sequences: what NumPy takes


@dataclass(frozen=True)
class Heading:
    """A heading within the explanation: level 2 for a part, 3 for a part of a part."""

    text: str
    level: int = 2

    def __post_init__(self) -> None:
        if self.level not in (2, 3):
            raise InputError(f"level: expected 2 or 3, as 1 is the title, got {self.level}")
        read_inline(self.text)


@dataclass(frozen=True)
class Prose:
    """One paragraph of sentences, with markup."""

    text: str

    def __post_init__(self) -> None:
        read_inline(self.text)


@dataclass(frozen=True)
class Items:
    """A list of short paragraphs, with markup; counted where their order matters."""

    items: Sequence[str]
    counted: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", tuple(self.items))
        for item in self.items:
            read_inline(item)


@dataclass(frozen=True)
class Equation:
    """A displayed equation, in LaTeX, with an optional remark (with markup) beside it."""

    latex: str
    remark: str = ""

    def __post_init__(self) -> None:
        maths.read(self.latex)
        read_inline(self.remark)


@dataclass(frozen=True, eq=False)
class Vector:
    """A named vector with its numbers, shortened where it is long.

    Attributes:
        name: in LaTeX: "h_{t-1}".
        values: (n,) anything that NumPy takes.
        shown: which entries to show; the first and last ones if absent.
        meaning: what it is, with markup.
    """

    name: str
    values: Numbers  # an array afterwards
    shown: Sequence[int] | None = None
    meaning: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _array("values", self.values, 1))
        _check_shown("shown", self.shown, len(self.values))
        maths.read(self.name)
        read_inline(self.meaning)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A named matrix with its size, why it has that size, and its numbers.

    Attributes:
        name: in LaTeX: "W_f".
        values: (rows, columns) anything that NumPy takes.
        reason: why it has this size, with markup: "3 units out, 6 values in".
        rows, columns: which to show; the first and last ones if absent.
    """

    name: str
    values: Numbers  # an array afterwards
    reason: str = ""
    rows: Sequence[int] | None = None
    columns: Sequence[int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _array("values", self.values, 2))
        shape = np.shape(self.values)
        _check_shown("rows", self.rows, shape[0])
        _check_shown("columns", self.columns, shape[1])
        maths.read(self.name)
        read_inline(self.reason)


@dataclass(frozen=True)
class Check:
    """Something that must hold, and whether it does: shown with a tick or a cross."""

    text: str
    holds: bool = True

    def __post_init__(self) -> None:
        read_inline(self.text)


@dataclass(frozen=True)
class Table:
    """A table of texts with markup. What `align` calls "r" stands to the right: numbers.

    Attributes:
        head: the columns' names.
        rows: as many texts each as there are columns; anything else is shown by `str`.
        align: one letter a column, "l" or "r"; "l" for all if absent.
        caption: what it shows, with markup.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    align: str = ""
    caption: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "head", tuple(self.head))
        object.__setattr__(self, "rows", tuple(tuple(map(str, row)) for row in self.rows))
        object.__setattr__(self, "align", self.align or "l" * len(self.head))
        n = len(self.head)
        for row in self.rows:
            if len(row) != n:
                raise InputError(f"rows: expected {n} texts each, as in head, got {len(row)}")
        if len(self.align) != n or set(self.align) - {"l", "r"}:
            raise InputError(f"align: expected {n} letters, each l or r, got {self.align!r}")
        for text in (*self.head, *(cell for row in self.rows for cell in row), self.caption):
            read_inline(text)


@dataclass(frozen=True)
class Code:
    """Lines of code, shown as they are."""

    text: str
    language: str = "python"


@dataclass(frozen=True, eq=False)
class Figure:
    """A drawing.

    Attributes:
        figure: a plotly figure, on light paper.
        caption: what it shows, with markup.
        alt: the same for those who cannot see it, in plain words: what is to be seen in it.
        dark: the figure on dark paper; if absent, the light one is shown there too.
    """

    figure: Any
    caption: str
    alt: str
    dark: Any = None

    def __post_init__(self) -> None:
        for name in ("figure", "dark"):
            figure = getattr(self, name)
            if not hasattr(figure, "to_html") and not (name == "dark" and figure is None):
                raise InputError(f"{name}: expected a plotly figure, got {type(figure).__name__}")
        if not self.alt:
            raise InputError("alt: expected what is to be seen in the figure, in words, got none")
        read_inline(self.caption)


Piece: TypeAlias = (
    Heading | Prose | Items | Equation | Vector | Matrix | Check | Table | Code | Figure
)
PIECES = Piece.__args__  # type: ignore[attr-defined]


def literal(text: object) -> str:
    """A text to be put into prose as it is: none of its marks is markup."""
    return re.sub(r"([\\*`$])", r"\\\1", str(text))


def _array(name: str, values: Numbers, dims: int) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().double().cpu().numpy()
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dims:
        raise InputError(f"{name}: expected {dims} dimension(s), got {array.shape}")
    return array


def _check_shown(name: str, shown: Sequence[int] | None, n: int) -> None:
    for k in shown or ():
        if not 0 <= k < n:
            raise InputError(f"{name}: expected 0 to {n - 1}, got {k}")
