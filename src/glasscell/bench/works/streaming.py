"""One step at a time from Python, the state carried: as a live signal or a typed text comes in."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

import glasscell
from glasscell.bench.agreement import Answer
from glasscell.bench.comparison import Comparison, Peer
from glasscell.bench.passes import OURS, THEIRS, exact
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject

CALLS = 100  # timed together: one takes microseconds


def steps(scale: Scale) -> Iterator[Comparison]:
    """One streamed step, beside a call of nn.LSTM on one step with the state it gave last."""
    for B, H in scale.grid((1,), (64,)):
        yield _one_step(Subject(B, H, 1))


def _one_step(subject: Subject) -> Comparison:
    ours, theirs = subject.layers("auto")
    x = subject.input()[0]  # (B, I)
    stream = glasscell.stream(ours)
    their_state: Any = None

    def our_step() -> Tensor:
        with torch.no_grad():
            return stream.step(x)

    def their_step() -> Tensor:
        nonlocal their_state
        with torch.no_grad():
            output, their_state = theirs(x[None], their_state)
            return output

    def first_steps(step) -> Answer:
        return Answer({f"step {t}": step().reshape(subject.B, -1).clone() for t in range(3)})

    def expected() -> Answer:
        with torch.no_grad():
            output, _ = exact(theirs)(x.double().expand(3, -1, -1))
        return Answer({f"step {t}": output[t] for t in range(3)})

    return Comparison(
        case=subject.case,
        ours=Peer(OURS, our_step, lambda: first_steps(our_step)),
        rivals=(Peer(THEIRS, their_step, lambda: first_steps(their_step)),),
        expected=expected,
        shape=subject.shape,
        flops=subject.flops,
        engine="stream",
        calls=CALLS,
    )
