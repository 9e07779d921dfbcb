"""An explanation as plain data, which three renderers show: as text, as Markdown and as HTML."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from glasscell.errors import InputError
from glasscell.explaining.inline import read as read_inline
from glasscell.explaining.pieces import PIECES, Check, Figure, Heading, Piece


@dataclass(frozen=True, eq=False)
class Explanation:
    """Something explained: a title, and pieces in the order in which they are read.

    It shows itself in a notebook; `print` gives its text. Two can be joined with `+`: the second's
    title becomes a heading.

    Attributes:
        title: plain words, with markup.
        pieces: what it consists of.
    """

    title: str
    pieces: Sequence[Piece]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pieces", tuple(self.pieces))
        read_inline(self.title)
        for piece in self.pieces:
            if not isinstance(piece, PIECES):
                known = ", ".join(each.__name__ for each in PIECES)
                raise InputError(f"pieces: expected {known}; got {type(piece).__name__}")

    def text(self, width: int = 88) -> str:
        """Plain text for a terminal.

        Args:
            width: columns; at least 40. Matrices that need more take more.
        """
        from glasscell.explaining.as_text import write

        return write(self, width)

    def markdown(self, images: Sequence[str] = ()) -> str:
        """Markdown with `$maths$`, as GitHub and Jupyter read it.

        Args:
            images: where the pictures of the figures lie, in their order; of a figure without one
                there is the caption.
        """
        from glasscell.explaining.as_markdown import write

        return write(self, images)

    def html(self) -> str:
        """A page that needs nothing else: light and dark, maths as MathML, figures inside."""
        from glasscell.explaining.as_html import page

        return page(self)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Its figures, in order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Figure))

    @property
    def checks(self) -> tuple[Check, ...]:
        """Its checks, in order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Check))

    def __add__(self, other: "Explanation") -> "Explanation":
        if not isinstance(other, Explanation):
            return NotImplemented
        return Explanation(self.title, (*self.pieces, *_as_part(other)))

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Explanation: {self.title}, {len(self.pieces)} pieces>"

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        from glasscell.explaining.as_html import fragment

        return fragment(self)


def joined(title: str, parts: Iterable[Explanation]) -> Explanation:
    """Several explanations under one title, each below a heading of its own."""
    pieces: list[Piece] = []
    for part in parts:
        pieces += _as_part(part)
    return Explanation(title, pieces)


def _as_part(part: Explanation) -> list[Piece]:
    """An explanation below a heading of its own, its headings below that."""
    lower = (Heading(p.text, 3) if isinstance(p, Heading) else p for p in part.pieces)
    return [Heading(part.title), *lower]
