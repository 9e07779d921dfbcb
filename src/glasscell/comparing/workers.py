"""Several processes that train at once: orders go out, answers come back; a death is one too."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

PATIENCE = 5.0  # seconds in which a process ends when it is told to
LAST_WORDS = 4000  # bytes of what a process wrote before it died


class Workers:
    """Processes of one thread each, started when there is work for them.

    Use as a context manager: at its end no process is left, however it ends.

    Args:
        jobs: how many at once.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._events: SimpleQueue[tuple[_Worker, dict[str, Any] | None]] = SimpleQueue()
        self._workers: list[_Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.bury(0.0 if error[0] else PATIENCE)
        self._workers = []

    def each(
        self,
        orders: Sequence[dict[str, Any]],
        watch: Callable[[int, dict[str, Any]], None] = lambda k, event: None,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Has orders done, begun in their order, and gives answers as they come.

        Args:
            orders: plain data.
            watch: told of the number of an order and what its process says meanwhile; the first
                time `{"event": "begun"}`.

        Yields:
            The number of an order, and its last answer: `{"event": "done", "result": ...}`,
            `{"event": "refused" or "failed", "why": ...}`. A process that dies has failed; the
            other orders go on in a new one.
        """
        waiting = list(enumerate(orders))[::-1]
        busy: dict[_Worker, int] = {}
        while waiting or busy:
            while waiting and len(busy) < self.jobs:
                k, order = waiting.pop()
                worker = self._idle(busy)
                busy[worker] = k
                watch(k, {"event": "begun"})
                worker.send({"number": k, **order})
            worker, event = self._events.get()
            if event is None:
                self._workers.remove(worker)
                why = worker.bury(PATIENCE)
                if worker in busy:
                    yield busy.pop(worker), {"event": "failed", "why": why}
            elif worker in busy and event["number"] == busy[worker]:
                if event["event"] in ("done", "refused", "failed"):
                    yield busy.pop(worker), event
                else:
                    watch(event["number"], event)

    def _idle(self, busy: dict[_Worker, int]) -> _Worker:
        for worker in self._workers:
            if worker not in busy and worker.is_alive:
                return worker
        worker = _Worker(self._events)
        self._workers.append(worker)
        return worker


class _Worker:
    """One process, and a thread that reads what it says."""

    def __init__(self, events: SimpleQueue[tuple[_Worker, dict[str, Any] | None]]) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `bury`)
        threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "glasscell.comparing.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, **dict.fromkeys(threads, "1"), "POLARS_MAX_THREADS": "1"},
        )
        threading.Thread(target=self._read, args=(events,), daemon=True).start()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has died, and its end is on the way
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """Tells it to end."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def bury(self, patience: float) -> str:
        """Sees its end, by force if need be. Returns why it ended, in a sentence."""
        self.dismiss()
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if not self._said.closed:
            self._said.seek(0, os.SEEK_END)
            self._said.seek(max(0, self._said.tell() - LAST_WORDS))
            lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
            self._said.close()
        else:
            lines = []
        if code < 0:
            return f"its process was killed (signal {-code})"
        return f"its process ended (exit code {code})" + (f": {lines[-1]}" if lines else "")

    def _read(self, events: SimpleQueue[tuple[_Worker, dict[str, Any] | None]]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # cut off by its end
                events.put((self, event))
        events.put((self, None))
