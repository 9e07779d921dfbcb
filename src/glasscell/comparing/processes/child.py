"""A process of a comparison: takes orders as lines of JSON, and answers in lines of JSON.

Started as a program of its own (`python -m glasscell.comparing.processes.child`): nothing is
shared with who started it, neither threads nor random generators, and a script without a
`__main__` guard is not run again. When its standard input ends, so does it, whatever it is doing:
nobody is left who wants to know.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:  # else they are imported for the first order: the process listens before that
    from glasscell.comparing.processes.messages import Answer, Order
    from glasscell.comparing.trainings.timed import Look
    from glasscell.comparing.workloads import Workload

TELL_EVERY = 0.25  # seconds between two lines on how far a training is


def main() -> None:
    """Serves until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints must not get between the answers
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()

    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches who started it, who decides

    import torch

    torch.set_num_threads(1)
    serve = Server(answers)
    while True:
        serve(lines.get())


def _listen(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


class Server:
    """Does what is ordered; keeps the workload from one order to the next.

    Args:
        answers: where lines go.
    """

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._workload: tuple[str, Workload | None] = ("", None)

    def __call__(self, line: str) -> None:
        """Does the order of a line, and says what came of it: an error is an answer too."""
        from glasscell.comparing.processes.messages import Answer, order_of_line
        from glasscell.errors import UserError

        number, order = order_of_line(line)

        def say(answer: Answer) -> None:
            self._say(number, answer)

        try:
            result = self._do(order, say)
        except UserError as error:
            say(Answer("refused", why=str(error)))
        except MemoryError:
            say(Answer("failed", why="there is not enough memory"))
        except Exception as error:
            say(Answer("failed", why=f"{type(error).__name__}: {error}".splitlines()[0]))
        else:
            say(Answer("done", result=result))

    def _say(self, number: int, answer: Answer) -> None:
        from glasscell.comparing.processes.messages import answer_as_line

        try:
            self._answers.write(answer_as_line(number, answer))
            self._answers.flush()
        except (OSError, ValueError):
            os._exit(0)  # nobody listens any more

    def _do(self, order: Order, say: Callable[[Answer], None]) -> dict[str, Any]:
        from glasscell.comparing.processes.messages import ProbeOrder, TuneOrder

        workload = self._read(order.workload)
        telling = Telling(say)
        if isinstance(order, ProbeOrder):
            from glasscell.comparing.trainings.probe import probe

            return asdict(probe(workload, order.cell, order.size))
        if isinstance(order, TuneOrder):
            from glasscell.comparing.trainings.tuning import tune

            tuned = tune(
                workload,
                order.cell,
                order.size,
                parameters=order.parameters,
                limit=order.limit,
                seconds=order.seconds,
                folder=Path(order.folder),
                study=order.study,
                watch=telling,
            )
            return asdict(tuned)
        from glasscell.comparing.trainings.run import write_run
        from glasscell.comparing.trainings.train_one import train_one

        folder = Path(order.folder)
        run = train_one(
            workload,
            order.cell,
            order.size,
            order.seed,
            order.limit,
            learning_rate=order.learning_rate,
            folder=folder,
            watch=telling,
        )
        write_run(folder, run, order.plan)
        return run.as_dict()

    def _read(self, description: dict[str, Any]) -> Workload:
        from glasscell.comparing.workloads import read_workload

        key = json.dumps(description)
        known, workload = self._workload
        if workload is None or known != key:
            workload = read_workload(description)
            self._workload = (key, workload)
        return workload


class Telling:
    """Says how far a training is, a few times a second, and each validation."""

    def __init__(self, say: Callable[[Answer], None]) -> None:
        self._say = say
        self._last = 0.0

    def __call__(self, done: float, look: Look | None) -> None:
        from glasscell.comparing.processes.messages import Answer

        now = time.monotonic()
        if look is not None or now - self._last >= TELL_EVERY:
            self._last = now
            self._say(Answer("progress", part=done, score=None if look is None else look.score))


if __name__ == "__main__":
    main()
