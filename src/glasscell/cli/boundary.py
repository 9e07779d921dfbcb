"""Where Python meets the shell: errors become one sentence and an exit code."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from glasscell.errors import UserError
from glasscell.files import reason_of

MISTAKE = 2  # the exit code for what the person can put right
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
NO_READER = 141  # 128 + SIGPIPE

# Parts of the package that need an extra, and the extra that brings them.
EXTRAS = {"lightning": "train", "plotly": "train", "rich": "train", "typer": "train"}


def exit_code(command: Callable[[], object]) -> int:
    """Runs a command and gives its exit code.

    What the person can put right is told in one sentence on standard error, without a stack trace
    (set GLASSCELL_DEBUG=1 to see it). Anything else is a bug, and goes on up with its trace.
    """
    with _guarded_streams():
        try:
            result = command()
            sys.stdout.flush()
        except KeyboardInterrupt:
            return _tell("interrupted", INTERRUPTED)
        except OutputLost as lost:
            if lost.error.errno == errno.EPIPE:
                return NO_READER  # who read it has had enough (`| head`)
            return _tell(f"cannot write to standard output: {reason_of(lost.error)}", MISTAKE)
        except Exception as error:
            sentence = _sentence(error)
            if sentence is None:
                raise
            return _tell(sentence, MISTAKE)
        return result if isinstance(result, int) else 0


class OutputLost(Exception):
    """Standard output takes no more. No OSError, as click and rich make an exit of their own of
    a broken pipe."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Sink(io.RawIOBase):
    """The raw end of a standard stream, which tells once that it is lost, or never.

    Args:
        raw: where bytes go; None where the stream was closed before we began. (What has its
            number now may be any file.)
        needed: whether a loss is an error; else what cannot be written is left out.
    """

    def __init__(self, raw: Any, *, needed: bool) -> None:
        self._raw, self._needed, self._lost = raw, needed, False

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._raw is not None and self._raw.isatty()

    def fileno(self) -> int:
        return super().fileno() if self._raw is None else self._raw.fileno()

    def write(self, data: Any, /) -> int | None:
        if not self._lost:
            try:
                if self._raw is None:
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                return self._raw.write(data)
            except OSError as error:
                self._lost = True
                if self._needed:
                    raise OutputLost(error) from None
        return len(data)


def _guarded(stream: TextIO | None, *, needed: bool) -> TextIO:
    buffer = getattr(stream, "buffer", None)
    if stream is not None and buffer is None:
        return stream  # a host's own, such as a notebook's
    return io.TextIOWrapper(
        io.BufferedWriter(_Sink(getattr(buffer, "raw", buffer), needed=needed)),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors="replace",  # a terminal may not know every character
        line_buffering=not needed or getattr(stream, "line_buffering", False),
        write_through=getattr(stream, "write_through", False),
    )


@contextmanager
def _guarded_streams() -> Iterator[None]:
    """Standard output whose loss is an `OutputLost`, and standard error whose loss is none."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    sys.stdout, sys.stderr = (
        _guarded(sys.stdout, needed=True),
        _guarded(sys.stderr, needed=False),
    )
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OutputLost):
                stream.flush()
        sys.stdout, sys.stderr = before


def _tell(sentence: str, code: int) -> int:
    if os.environ.get("GLASSCELL_DEBUG"):
        traceback.print_exc()
    helper = os.environ.get("LOCAL_RANK", "").lstrip("0").isdecimal()
    if not helper:  # of several processes, the first tells
        print(f"glasscell: {sentence}", file=sys.stderr)
    return code


def _sentence(error: Exception) -> str | None:
    """An error in plain English; None for a bug."""
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a wrong option
        return str(error.format_message()).rstrip(".")  # type: ignore[attr-defined]
    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        return extra and f"this command needs more packages: pip install 'glasscell[{extra}]'"
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {error.filename}: {(error.strerror or str(error)).lower()}"
    return None
