"""The resident memory of a process stays where it is, however many calls of whatever shapes."""

import ctypes
import random
import resource
from pathlib import Path

import pytest
import torch
from tests.engines.calls import TARGETS, call_of, gradients, leaves, loss_on
from tests.engines.subjects import NATIVE, NEEDS_KERNELS

from glasscell import ops

STATM = Path("/proc/self/statm")
MEGABYTE = 2**20
KINDS = ("lstm", "lstm-peepholes-projected", "gru", "rnn-tanh")

pytestmark = [
    NEEDS_KERNELS,
    pytest.mark.skipif(not STATM.exists(), reason="this system does not tell a process's memory"),
]


def resident() -> int:
    """Bytes of this process that are in memory, without what was freed and the allocator kept."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    return int(STATM.read_text().split()[1]) * resource.getpagesize()


class Caller:
    """Calls of random shapes; some are recorded, some want a gradient, some have new weights."""

    def __init__(self) -> None:
        self.random = random.Random(0)
        self.weights: dict[tuple, list] = {}

    def call(self) -> None:
        name, dtype = self.random.choice(KINDS), self.random.choice(NATIVE.dtypes)
        I, H = self.random.choice((3, 16, 40)), self.random.choice((5, 32, 48))
        lengths = sorted(self.random.choices(range(1, 30), k=self.random.randint(1, 9)))[::-1]
        tensors = leaves(name, lengths, I, H, dtype)
        key = (name, dtype, I, H)
        if self.random.random() < 0.9:
            tensors[3:] = self.weights.setdefault(key, tensors[3:])
        recorded, differentiated = self.random.random() < 0.3, self.random.random() < 0.3
        call = call_of(name, tensors, lengths, self.random.random() < 0.5, recorded)
        with torch.set_grad_enabled(differentiated):
            record = ops.run(call, "native")
        if differentiated:
            gradients(record, loss_on(record, TARGETS if recorded else ("h",)), tensors)


def growth(warming_up: int, calls: int) -> int:
    caller = Caller()
    for _ in range(warming_up):
        caller.call()
    before = resident()
    for _ in range(calls):
        caller.call()
    return resident() - before


def test_a_few_thousand_calls():
    assert growth(warming_up=1000, calls=3000) < 4 * MEGABYTE


@pytest.mark.slow
def test_a_hundred_thousand_calls(set_threads):
    set_threads(2)
    assert growth(warming_up=5000, calls=100_000) < 4 * MEGABYTE


@pytest.mark.parametrize("name", KINDS)
def test_what_one_huge_call_needs_is_given_back(name):
    """The kernels keep their scratch space from call to call, but only up to a bound."""
    lengths = [2] * 20_000  # hundreds of megabytes
    Caller().call()
    before = resident()
    tensors = leaves(name, lengths, 8, 64)
    record = ops.run(call_of(name, tensors, lengths), "native")
    gradients(record, loss_on(record), tensors)
    assert resident() - before > 80 * MEGABYTE
    del tensors, record
    assert resident() - before < 70 * MEGABYTE
