"""What the command line says of a run that was interrupted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def telling_interruption(go_on: str) -> Iterator[None]:
    """Tells what an interrupted run has left, and ends with the code that shells expect.

    Args:
        go_on: the command that goes on with it.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        from glasscell.training.hardware import is_helper_process
        from glasscell.training.signals import Interrupted

        if not isinstance(error, Interrupted):
            raise  # before training began
        if not is_helper_process():
            how = f"; go on with: {go_on}"
            print(f"glasscell: {error}{how if error.resumable else ''}", file=sys.stderr)
        raise typer.Exit(128 + error.signal) from None
