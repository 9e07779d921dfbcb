"""How training tells that it was interrupted."""

from __future__ import annotations

import signal


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
