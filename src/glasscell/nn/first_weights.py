"""What the weights of a layer begin with, as its options say."""

from dataclasses import dataclass

from glasscell.cells import Cell, Weights
from glasscell.errors import InputError
from glasscell.nn import initial

DRAWS = {"torch": initial.draw_uniform, "glorot": initial.draw_glorot}


@dataclass(frozen=True)
class FirstWeights:
    """A layer's `init`, `forget_bias` and `chrono`."""

    init: str = "torch"
    forget_bias: float | None = None
    chrono: float | None = None

    def __post_init__(self) -> None:
        if self.init not in DRAWS:
            known = " or ".join(f'"{name}"' for name in DRAWS)
            raise InputError(f"init: expected {known}, got {self.init!r}")
        if self.forget_bias is not None and self.chrono is not None:
            raise InputError("chrono: it draws the bias that forget_bias sets; give one of them")

    def draw(self, cell: Cell, w: Weights) -> None:
        """Draws the weights of one layer in one direction, in place."""
        DRAWS[self.init](cell, w)
        if self.forget_bias is not None:
            initial.set_forget_bias(cell, w, self.forget_bias)
        if self.chrono is not None:
            initial.draw_chrono(cell, w, self.chrono)
