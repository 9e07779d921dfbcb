"""Ctrl-C, and being told to end: noted at once, and acted on between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)  # a closed terminal; Windows has none
SIGNALS = (signal.SIGINT, signal.SIGTERM, HANG_UP)


class Interrupted(KeyboardInterrupt):
    """Training was interrupted.

    The text says what there is now; `signal` is the number of the signal that did it, and
    `resumable` says whether the run can be gone on with.
    """

    def __init__(
        self, message: str, *, number: int = signal.SIGINT, resumable: bool = True
    ) -> None:
        super().__init__(message)
        self.signal = int(number)
        self.resumable = resumable


class Signals:
    """Notes the first signal that comes; a second is not waited with.

    A signal may come in the middle of an update; acting on it at once would leave weights that are
    half old and half new.

    Attributes:
        received: its number; None until one has come.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes over the signals, and gives them back in the end."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread can
            return
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        if self._before.get(HANG_UP) is signal.SIG_IGN:
            del self._before[HANG_UP]  # under nohup a run outlives its terminal
        try:
            self._listen()
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def listen_again(self) -> None:
        """Takes the signals back from who put handlers of their own in place."""
        if self._before and self.received is None:
            self._listen()

    def _listen(self) -> None:
        for number in self._before:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: object) -> None:
        self.received = number
        for each in self._before:
            signal.signal(each, signal.default_int_handler)
