"""Several processes that train at once: orders go out, answers come back; a death is one too."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue

from glasscell.comparing.processes.messages import Answer, Order, answer_of_line, order_as_line

MOST_JOBS = 1024
PATIENCE = 5.0  # seconds in which a process ends when it is told to
READ_OF_ERRORS = 4000  # bytes at the end of what a process wrote to standard error


# Which process, the number of its order and what it says of it; None for its end.
Answers = SimpleQueue["tuple[_Process, tuple[int, Answer] | None]"]


class ProcessPool:
    """Processes of one thread each, started when there is work for them.

    Use as a context manager: at its end no process is left, however it ends.

    Args:
        jobs: how many at once.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._answers: Answers = SimpleQueue()
        self._processes: list[_Process] = []

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.ask_to_end()
        for process in self._processes:
            process.end(0.0 if error[0] else PATIENCE)
        self._processes = []

    def each(
        self,
        orders: Sequence[Order],
        watch: Callable[[int, Answer], None] = lambda k, answer: None,
    ) -> Iterator[tuple[int, Answer]]:
        """Has orders done, begun in their order, and gives answers as they come.

        Args:
            orders: what to do.
            watch: told of the number of an order and what its process says meanwhile; the first
                time that it was begun.

        Yields:
            The number of an order, and its last answer. A process that dies has failed; the other
            orders go on in a new one.
        """
        waiting = list(enumerate(orders))[::-1]
        busy: dict[_Process, int] = {}
        while waiting or busy:
            while waiting and len(busy) < self.jobs:
                k, order = waiting.pop()
                process = self._idle(busy)
                busy[process] = k
                watch(k, Answer("begun"))
                process.send(order_as_line(k, order))
            process, said = self._answers.get()
            if said is None:
                self._processes.remove(process)
                why = process.end(PATIENCE)
                if process in busy:
                    yield busy.pop(process), Answer("failed", why=why)
                continue
            number, answer = said
            if busy.get(process) != number:
                continue
            if answer.is_last:
                yield busy.pop(process), answer
            else:
                watch(number, answer)

    def _idle(self, busy: dict[_Process, int]) -> _Process:
        for process in self._processes:
            if process not in busy and process.is_alive:
                return process
        process = _Process(self._answers)
        self._processes.append(process)
        return process


class _Process:
    """One process, and a thread that reads what it answers."""

    def __init__(self, answers: Answers) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "glasscell.comparing.processes.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **dict.fromkeys(threads, "1"), "POLARS_MAX_THREADS": "1"},
        )
        threading.Thread(target=self._read, args=(answers,), daemon=True).start()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has died, and its end is on the way
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def ask_to_end(self) -> None:
        """Tells it to end."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def end(self, patience: float) -> str:
        """Waits for its end, which comes by force after so many seconds. Returns why it ended, in
        a sentence."""
        self.ask_to_end()
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if not self._errors.closed:
            self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, self._errors.tell() - READ_OF_ERRORS))
            lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
            self._errors.close()
        else:
            lines = []
        if code < 0:
            return f"its process was killed (signal {-code})"
        return f"its process ended (exit code {code})" + (f": {lines[-1]}" if lines else "")

    def _read(self, answers: Answers) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                try:
                    answers.put((self, answer_of_line(line)))
                except ValueError:
                    continue  # cut off by its end
        answers.put((self, None))


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
