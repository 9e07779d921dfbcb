"""How things are timed: peers in one process, taking turns, medians; outputs checked first."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """One contestant: `run` does the work once."""

    name: str
    run: Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """The same work done by several peers. The first is ours, the second what it is held against.

    Attributes:
        case: what is done, in words.
        peers: ours first.
        least: the ratio, peer's time over ours, that the project promises; None for no promise.
        flops: floating-point operations of the matrix products, if that is a limit to speak of.
        check: raises if the peers do not compute the same.
    """

    case: str
    peers: tuple[Peer, ...]
    least: float | None = None
    flops: float | None = None
    check: Callable[[], None] | None = None


@dataclass(frozen=True)
class Result:
    comparison: Comparison
    seconds: dict[str, float]  # median, by peer

    @property
    def ratio(self) -> float:
        """The peer's time over ours: above 1 we are faster."""
        ours, theirs = (self.seconds[peer.name] for peer in self.comparison.peers[:2])
        return theirs / ours


def compare(comparison: Comparison, budget: float = 2.0, rounds: int = 5) -> Result:
    """Times the peers in turn, A B A B ..., for `budget` seconds but at least `rounds` rounds.

    Taking turns is what makes the ratio hold on a machine whose speed drifts.
    """
    if comparison.check is not None:
        comparison.check()
    for peer in comparison.peers:
        for _ in range(2):
            peer.run()
    times: dict[str, list[float]] = {peer.name: [] for peer in comparison.peers}
    end = time.perf_counter() + budget
    done = 0
    while done < rounds or time.perf_counter() < end:
        turn = comparison.peers if done % 2 == 0 else comparison.peers[::-1]
        for peer in turn:
            start = time.perf_counter()
            peer.run()
            times[peer.name].append(time.perf_counter() - start)
        done += 1
    return Result(comparison, {name: statistics.median(each) for name, each in times.items()})
