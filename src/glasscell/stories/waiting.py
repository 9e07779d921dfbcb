"""What is said while a story is being measured: on a terminal one line, and elsewhere nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CLEAR = "\r\x1b[K"  # back to the line's start, and empty to its end


@contextmanager
def waiting() -> Iterator[Callable[[str], None]]:
    """Gives a function that says what is being done; the line is gone at the end."""
    is_terminal = sys.stderr.isatty()

    def say(text: str) -> None:
        if is_terminal:
            print(f"{CLEAR}{text} …", end="", file=sys.stderr, flush=True)

    try:
        yield say
    finally:
        if is_terminal:
            print(CLEAR, end="", file=sys.stderr, flush=True)
