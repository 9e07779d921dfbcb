"""A process of a comparison: takes orders as lines of JSON, and answers in lines of JSON.

Started as a program of its own (`python -m glasscell.comparing.worker`): nothing is shared with
who started it, neither threads nor random generators, and a script without a `__main__` guard is
not run again. When its standard input ends, so does it, whatever it is doing: nobody is left who
wants to know.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

TELL_EVERY = 0.25  # seconds between two lines on how far a training is

Say = Callable[[dict[str, Any]], None]


def main() -> None:
    """Serves until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints must not get between the answers
    orders: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()

    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches who started it, who decides

    import torch

    torch.set_num_threads(1)
    serve = Server(answers)
    while True:
        serve(orders.get())


def _listen(orders: SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        orders.put(json.loads(line))
    os._exit(0)


class Server:
    """Does what is ordered; keeps the workload from one order to the next.

    Args:
        answers: where lines go.
    """

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._workload: tuple[str, Any] = ("", None)

    def __call__(self, order: dict[str, Any]) -> None:
        """Does one order, and says what came of it: an error is an answer too."""
        from glasscell.errors import UserError

        number = order["number"]
        try:
            result = self._do(order, lambda event: self._say({"number": number, **event}))
            self._say({"number": number, "event": "done", "result": result})
        except UserError as error:
            self._say({"number": number, "event": "refused", "why": str(error)})
        except MemoryError:
            self._say({"number": number, "event": "failed", "why": "there is not enough memory"})
        except Exception as error:
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            self._say({"number": number, "event": "failed", "why": why})

    def _say(self, event: dict[str, Any]) -> None:
        try:
            self._answers.write(json.dumps(event) + "\n")
            self._answers.flush()
        except (OSError, ValueError):
            os._exit(0)  # nobody listens any more

    def _do(self, order: dict[str, Any], say: Say) -> dict[str, Any]:
        from glasscell.comparing.models import Size
        from glasscell.comparing.run import write_run
        from glasscell.comparing.timed import Limit
        from glasscell.comparing.training_one import probe, train_one

        workload = self._read(order["workload"])
        cell, size = order["cell"], Size(**order["size"])
        if order["do"] == "probe":
            return probe(workload, cell, size)
        if order["do"] == "tune":
            from glasscell.comparing.tuning import tune

            return tune(workload, cell, size, order, say)
        folder = Path(order["folder"])
        run = train_one(
            workload,
            cell,
            size,
            order["seed"],
            Limit(**order["limit"]),
            learning_rate=order["learning_rate"],
            folder=folder,
            watch=Telling(say),
        )
        write_run(folder, run, order["plan"])
        return run.as_dict()

    def _read(self, description: dict[str, Any]) -> Any:
        from glasscell.comparing.workloads import read_workload

        key = json.dumps(description)
        if self._workload[0] != key:
            self._workload = (key, read_workload(description))
        return self._workload[1]


class Telling:
    """Says how far a training is, a few times a second."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._last = 0.0

    def __call__(self, done: float, look: Any) -> None:
        now = time.monotonic()
        if look is not None or now - self._last >= TELL_EVERY:
            self._last = now
            score = None if look is None else look.score
            self._say({"event": "progress", "done": done, "score": score})


if __name__ == "__main__":
    main()
