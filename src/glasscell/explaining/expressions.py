r"""The right sides of equations: what they look like, what they come to, and with what numbers.

An expression is made of names. Given a value for each name it can be worked out, which is how an
explanation checks that what it tells is what a cell computed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np

Values: TypeAlias = Mapping[str, np.ndarray]
Write: TypeAlias = Callable[[np.ndarray], str]


class Expression(ABC):
    """Something that can be worked out once its names have values."""

    @property
    @abstractmethod
    def latex(self) -> str:
        """How it is written, in LaTeX."""

    @abstractmethod
    def value(self, named: Values) -> np.ndarray:
        """What it comes to."""

    def numeric(self, write: Write, named: Values) -> str:
        """The same with numbers in place of names, in LaTeX."""
        return write(self.value(named))

    @property
    def factors(self) -> "tuple[Expression, ...]":
        """What is multiplied entry by entry somewhere in it, and so must be equally long."""
        return ()


@dataclass(frozen=True)
class Name(Expression):
    """A vector or a number by its name."""

    name: str

    @property
    def latex(self) -> str:
        return self.name

    def value(self, named: Values) -> np.ndarray:
        return named[self.name]


@dataclass(frozen=True)
class Number(Expression):
    """A number that is the same for all units."""

    number: float

    @property
    def latex(self) -> str:
        return f"{self.number:g}"

    def value(self, named: Values) -> np.ndarray:
        return np.float64(self.number)  # type: ignore[return-value]

    def numeric(self, write: Write, named: Values) -> str:
        return self.latex


@dataclass(frozen=True)
class MatrixTimes(Expression):
    r"""`U_f h_{t-1}`: a matrix, by its name, times a vector."""

    matrix: str
    vector: Expression

    @property
    def latex(self) -> str:
        plain = isinstance(self.vector, Name | Applied)
        inside = self.vector.latex if plain else f"\\, ({self.vector.latex})"  # no function of it
        return f"{self.matrix} {inside}"

    def value(self, named: Values) -> np.ndarray:
        return named[self.matrix] @ self.vector.value(named)

    @property
    def factors(self) -> tuple[Expression, ...]:
        return self.vector.factors


@dataclass(frozen=True)
class Sum(Expression):
    """`a + b + c`."""

    terms: tuple[Expression, ...]

    @property
    def latex(self) -> str:
        return " + ".join(term.latex for term in self.terms)

    def value(self, named: Values) -> np.ndarray:
        return reduce(np.add, (term.value(named) for term in self.terms))

    def numeric(self, write: Write, named: Values) -> str:
        return " + ".join(term.numeric(write, named) for term in self.terms)

    @property
    def factors(self) -> tuple[Expression, ...]:
        return tuple(factor for term in self.terms for factor in term.factors)


@dataclass(frozen=True)
class Product(Expression):
    r"""`a \odot b`: entry by entry."""

    parts: tuple[Expression, ...]

    @property
    def latex(self) -> str:
        return " \\odot ".join(_held(part) for part in self.parts)

    def value(self, named: Values) -> np.ndarray:
        return reduce(np.multiply, (part.value(named) for part in self.parts))

    def numeric(self, write: Write, named: Values) -> str:
        return " \\odot ".join(write(part.value(named)) for part in self.parts)

    @property
    def factors(self) -> tuple[Expression, ...]:
        return self.parts


@dataclass(frozen=True)
class Less(Expression):
    """`a - b`."""

    whole: Expression
    part: Expression

    @property
    def latex(self) -> str:
        return f"{self.whole.latex} - {self.part.latex}"

    def value(self, named: Values) -> np.ndarray:
        return self.whole.value(named) - self.part.value(named)

    def numeric(self, write: Write, named: Values) -> str:
        return f"{self.whole.numeric(write, named)} - {self.part.numeric(write, named)}"


@dataclass(frozen=True)
class Over(Expression):
    """`a / b`, entry by entry."""

    above: Expression
    below: Expression

    @property
    def latex(self) -> str:
        return f"\\frac{{{self.above.latex}}}{{{self.below.latex}}}"

    def value(self, named: Values) -> np.ndarray:
        below = self.below.value(named)  # 0 / 0 is 0: nothing is written yet
        return self.above.value(named) / np.maximum(below, np.finfo(below.dtype).tiny)

    def numeric(self, write: Write, named: Values) -> str:
        below = self.below.numeric(write, named)
        held = f"({below})" if isinstance(self.below, Sum | Less) else below
        return f"{self.above.numeric(write, named)} / {held}"


@dataclass(frozen=True)
class Applied(Expression):
    r"""`\tanh(c_t)`: a function, entry by entry; of several, `\max(a, b)`.

    Attributes:
        name: the function's, in LaTeX.
        function: from as many arrays as there are arguments.
    """

    name: str
    function: Callable[..., np.ndarray]
    arguments: tuple[Expression, ...]

    @property
    def latex(self) -> str:
        return f"{self.name}({', '.join(each.latex for each in self.arguments)})"

    def value(self, named: Values) -> np.ndarray:
        return self.function(*(each.value(named) for each in self.arguments))


@dataclass(frozen=True)
class Drawn(Expression):
    r"""`[u_f < \sigma(...)]`: 1 where it is true, 0 elsewhere."""

    draw: Expression
    odds: Expression

    @property
    def latex(self) -> str:
        return f"[\\, {self.draw.latex} < {self.odds.latex} \\,]"

    def value(self, named: Values) -> np.ndarray:
        return (self.draw.value(named) < self.odds.value(named)).astype(np.float64)


@dataclass(frozen=True)
class NormalisedProduct(Expression):
    r"""`\mathrm{norm}(W x_t)_f`: a gate's part of products that are normalised together.

    Attributes:
        matrices: the names of all matrices whose products are taken together.
        k: which of them is this gate's.
        vector: what they multiply.
        whole: what these matrices are called together: "W".
        index: the gate's index; empty where its product is normalised by itself.
    """

    matrices: tuple[str, ...]
    k: int
    vector: Expression
    whole: str
    index: str
    norm: Callable[[np.ndarray], np.ndarray]

    @property
    def latex(self) -> str:
        product = MatrixTimes(self.whole, self.vector).latex
        return f"\\mathrm{{norm}}({product}){self.index}"

    def value(self, named: Values) -> np.ndarray:
        vector = self.vector.value(named)
        products = [named[matrix] @ vector for matrix in self.matrices]
        return np.split(self.norm(np.concatenate(products)), len(products))[self.k]


def _held(part: Expression) -> str:
    return f"({part.latex})" if isinstance(part, Sum | Less) else part.latex
