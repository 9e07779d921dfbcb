"""Where Python meets the shell: errors become one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from glasscell.errors import UserError

MISTAKE = 2  # the exit code for what the person can put right
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

# Parts of the package that need an extra, and the extra that brings them.
EXTRAS = {"lightning": "train", "plotly": "train", "rich": "train", "typer": "train"}


def exit_code(command: Callable[[], object]) -> int:
    """Runs a command and gives its exit code.

    What the person can put right is told in one sentence on standard error, without a stack trace
    (set GLASSCELL_DEBUG=1 to see it). Anything else is a bug, and goes on up with its trace.
    """
    try:
        result = command()
    except KeyboardInterrupt:
        return _tell("interrupted", INTERRUPTED)
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        return _tell(sentence, MISTAKE)
    return result if isinstance(result, int) else 0


def _tell(sentence: str, code: int) -> int:
    if os.environ.get("GLASSCELL_DEBUG"):
        traceback.print_exc()
    if int(os.environ.get("LOCAL_RANK") or 0) == 0:  # of several processes, the first tells
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
