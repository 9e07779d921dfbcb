"""How a language model is trained."""

from __future__ import annotations

from dataclasses import dataclass

from glasscell.errors import UserError
from glasscell.nn.lines import LayerLine
from glasscell.training.recipe import Recipe


@dataclass(frozen=True)
class LanguageRecipe(Recipe):
    """A recipe for text, which is read in streams: `batch` of them side by side.

    Attributes:
        chunk: T, steps that a gradient reaches back.
    """

    chunk: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chunk < 1:
            raise UserError(f"chunk: expected at least 1, got {self.chunk}")


def default_learning_rate(cell: str, hidden: int) -> float:
    """0.01 for up to 256 units, 0.004 for a plain RNN; in inverse proportion to units above 256.

    Gates keep a network steady at rates that upset a plain RNN. To see it, write
    `default_corpus()` to a file and compare `glasscell train text FILE --cell rnn --lr 0.01` with
    `--lr 0.004`.
    """
    return (0.004 if LayerLine.read(cell).is_simple else 0.01) * min(1.0, 256 / hidden)
