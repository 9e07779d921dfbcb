"""How things are timed: peers in one process, taking turns, medians; outputs checked first."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch

from glasscell.bench.agreement import Answer, disagreement

SETTLE = 0.005  # seconds in which the threads of whoever ran last go to sleep
SHORT = 0.010  # seconds; shorter calls are run untimed for a while before their turn is timed
WARM_UP = 0.003  # seconds of that while: threads awake, weights back in their caches
TURN = 0.015  # seconds; calls shorter than this are timed several together


@dataclass(frozen=True)
class Times:
    """What the clock said of one peer, in seconds for one call.

    Attributes:
        median, lower, upper: the median and the quartiles over the turns.
        turns: how often it was timed.
        calls: how many calls were timed together at each turn.
    """

    median: float
    lower: float
    upper: float
    turns: int
    calls: int = 1

    @classmethod
    def of(cls, seconds: Sequence[float], calls: int = 1) -> Times:
        if len(seconds) == 1:
            return cls(seconds[0], seconds[0], seconds[0], 1, calls)
        lower, median, upper = statistics.quantiles(seconds, n=4, method="inclusive")
        return cls(median, lower, upper, len(seconds), calls)


@dataclass(frozen=True)
class Row:
    """One line of a table: the same work done by several peers, ours first.

    Attributes:
        case: which shape or model: "B 32  H 256".
        times: by peer; ours first, alone where it is held against nothing.
        shape: the case in letters, for machines: {"B": 32, "H": 256, "T": 100}.
        flops: floating-point operations of the matrix products, where that is a limit to speak of.
        dtype, threads: what they ran in and on.
        engine: the engine of ours that ran.
        left_out: peers that did not compete, and why.
        wrong: how our answer differs from the right one; None as it should be.
        note: what else to say.
    """

    case: str
    times: dict[str, Times]
    shape: dict[str, int] = field(default_factory=dict)
    flops: float | None = None
    dtype: torch.dtype = torch.float32
    threads: int = 1
    engine: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    wrong: str | None = None
    note: str = ""

    @property
    def ours(self) -> float:
        """Our median, in seconds."""
        return next(iter(self.times.values())).median if self.times else math.nan

    @property
    def rivals(self) -> dict[str, Times]:
        """Everyone else's times."""
        return dict(list(self.times.items())[1:])

    @property
    def fastest(self) -> str | None:
        """The rival that counts."""
        rivals = self.rivals
        return min(rivals, key=lambda name: rivals[name].median) if rivals else None

    @property
    def ratio(self) -> float | None:
        """The fastest rival's time over ours: above 1 we are faster."""
        fastest = self.fastest
        return None if fastest is None else self.times[fastest].median / self.ours


class Case(Protocol):
    """Something that can be measured, and then is a row."""

    @property
    def case(self) -> str: ...

    def measure(self, budget: float, rounds: int) -> Row: ...


@dataclass(frozen=True)
class Peer:
    """One contestant: `run` does the work once; `answer` does it once and says what came out."""

    name: str
    run: Callable[[], object]
    answer: Callable[[], Answer] | None = None


@dataclass(frozen=True)
class Comparison:
    """The same work done by several peers.

    Attributes:
        case, shape, flops, dtype, engine: as in `Row`.
        ours: our peer.
        rivals: what it is held against; the fastest of them counts.
        expected: the right answer: as torch.nn or a loop in Python has it in float64, or what the
            same model gives without being compiled.
        threads: of torch, for this case alone; as they are if absent.
        calls: how many calls are timed together; as many as the clock needs if absent.
    """

    case: str
    ours: Peer
    rivals: tuple[Peer, ...]
    expected: Callable[[], Answer] | None = None
    shape: dict[str, int] = field(default_factory=dict)
    flops: float | None = None
    dtype: torch.dtype = torch.float32
    engine: str | None = None
    threads: int | None = None
    calls: int | None = None

    def measure(self, budget: float, rounds: int) -> Row:
        """Checks the answers, then times those that are right.

        A rival with another answer is left out, and the row says so; if ours has another, nobody
        is timed and the row is wrong.
        """
        with _threads(self.threads) as threads:
            wrong, left_out = self._check()
            peers = (self.ours, *(peer for peer in self.rivals if peer.name not in left_out))
            times = {} if wrong else take_turns(peers, budget, rounds, self.calls)
        return Row(
            case=self.case,
            times=times,
            shape=self.shape,
            flops=self.flops,
            dtype=self.dtype,
            threads=threads,
            engine=self.engine,
            left_out=left_out,
            wrong=wrong,
        )

    def _check(self) -> tuple[str | None, dict[str, str]]:
        if self.expected is None:
            return None, {}
        expected = self.expected()
        found = {
            peer.name: disagreement(peer.answer(), expected, self.dtype)
            for peer in (self.ours, *self.rivals)
            if peer.answer is not None
        }
        wrong = found.pop(self.ours.name, None)
        return wrong, {name: why for name, why in found.items() if why is not None}


def take_turns(
    peers: Sequence[Peer], budget: float, rounds: int, calls: int | None = None
) -> dict[str, Times]:
    """Times the peers in turn, A B B A ..., for `budget` seconds but at least `rounds` rounds.

    Taking turns is what makes a ratio hold on a machine whose speed drifts. Between turns the
    machine rests a moment: threads that still spin after their own turn would be in the next
    one's way.
    """
    once = {peer.name: _warm_seconds(peer) for peer in peers}
    together = {name: calls or max(1, math.ceil(TURN / each)) for name, each in once.items()}
    seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    with _no_garbage_collection():
        end = time.perf_counter() + budget
        done = 0
        while done < rounds or time.perf_counter() < end:
            for peer in peers if done % 2 == 0 else peers[::-1]:
                time.sleep(SETTLE)
                n, run = together[peer.name], peer.run
                if once[peer.name] < SHORT:
                    for _ in range(math.ceil(WARM_UP / once[peer.name])):
                        run()
                start = time.perf_counter()
                for _ in range(n):
                    run()
                seconds[peer.name].append((time.perf_counter() - start) / n)
            done += 1
    return {name: Times.of(each, together[name]) for name, each in seconds.items()}


def _warm_seconds(peer: Peer) -> float:
    """Warms up, and gives what a call takes, roughly."""
    peer.run()
    start = time.perf_counter()
    peer.run()
    return max(time.perf_counter() - start, 1e-6)


@contextmanager
def _threads(wanted: int | None):
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield wanted or before
    finally:
        torch.set_num_threads(before)


@contextmanager
def _no_garbage_collection():
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
