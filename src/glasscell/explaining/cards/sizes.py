"""How large a cell's weights are, in letters: a matrix is (4H, I), and so are there 4HI of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from glasscell.cells import Cell, Weights
from glasscell.nn.recurrent import WEIGHT_NAMES

I, H = 1009, 100_003  # two primes, so that each size shows what it is a multiple of


@dataclass(frozen=True)
class Size:
    """A weight of a cell.

    Attributes:
        letter: in equations and in `Weights`: "W".
        name: in a layer's state_dict, without its layer: "weight_ih".
        shape: in letters: "(4H, I)".
        gates: letters of the gates whose rows it has, in order; empty where it has none.
    """

    letter: str
    name: str
    shape: str
    gates: tuple[str, ...]


def sizes(cell: Cell) -> list[Size]:
    """The weights of a cell, with biases and without a projection."""
    names: dict[str, str] = dict(zip(Weights._fields, WEIGHT_NAMES, strict=True))
    found = []
    for letter, shape in _shapes(cell).items():
        if 0 in shape:  # no gate reads the hidden state
            continue
        told = ", ".join(_multiple(n) for n in shape)
        written = f"({told}{',' * (len(shape) == 1)})"
        gates = tuple(gate.letter for gate in cell.gates_in(letter))
        found.append(Size(letter, names[letter], written, gates))
    return found


def is_square(cell: Cell) -> bool:
    """Whether its input must be as wide as its hidden state."""
    try:
        cell.shapes(I, H, H)
    except ValueError:
        return True
    return False


@dataclass(frozen=True)
class Count:
    """How many weights a cell has, as a polynomial.

    Attributes:
        latex: "4HI + 4H^2 + 8H".
        of: the number, from H and I.
    """

    latex: str
    of: Callable[[int, int], int]

    def __call__(self, H: int, I: int) -> int:
        return self.of(H, I)


def parameters(cell: Cell) -> Count:
    """The number of a cell's weights, with both biases."""
    terms: Counter[str] = Counter()
    for shape in _shapes(cell).values():
        if 0 in shape:
            continue
        factor, power = 1, ""
        for n in shape:
            times, letter = _factor(n)
            factor, power = factor * times, power + letter
        terms[power] += factor
    order = sorted(terms, key=lambda power: (-len(power), power != "HI", power))
    written = {"HI": "HI", "HH": "H^2", "H": "H", "": ""}
    latex = " + ".join(f"{terms[p] if terms[p] > 1 or not p else ''}{written[p]}" for p in order)

    def of(H: int, I: int) -> int:
        sizes = {"HI": H * I, "HH": H * H, "H": H, "": 1}
        return sum(n * sizes[power] for power, n in terms.items())

    return Count(latex, of)


def _shapes(cell: Cell) -> dict[str, tuple[int, ...]]:
    return cell.shapes(H if is_square(cell) else I, H, H)


def _factor(n: int) -> tuple[int, str]:
    """n as a multiple of a letter."""
    if n % H == 0:
        return n // H, "H"
    return (n // I, "I") if n % I == 0 and n else (n, "")


def _multiple(n: int) -> str:
    times, letter = _factor(n)
    return f"{'' if times == 1 and letter else times}{letter}"
