"""Any number of the kernels' threads, and any number of Python's, give the same bits."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from tests.cells.zoo import SUBJECTS
from tests.engines.calls import Leaves, assert_same_in_every_bit, everything, leaves
from tests.engines.subjects import NATIVE, NEEDS_KERNELS

# I, H, P, lengths: how `choose_grid` cuts the LSTM's among four threads; tests/native checks that.
WORKS = {
    "by-sequences": (64, 128, 64, [7] * 32),
    "by-units": (64, 512, 64, [4] * 3),
    "both-ways": (64, 128, 64, [7] * 8),
    "one-small": (64, 64, 32, [9]),
    "ragged": (33, 130, 65, [9, 9, 8, 8, 8, 6, 5, 5, 5, 3, 2, 2, 1, 1, 1, 1]),
    "steps-of-one": (17, 300, 150, [12, 2, 1]),
}
LARGEST = ("lstm-peepholes-projected", "gru", "rnn-tanh")

pytestmark = NEEDS_KERNELS


def inputs(
    name: str, work: str, dtype: torch.dtype = torch.float32
) -> tuple[str, Leaves, list[int]]:
    I, H, P, lengths = WORKS[work]
    return name, leaves(name, lengths, I, H, dtype, P), lengths


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("dtype", NATIVE.dtypes, ids=str)
@pytest.mark.parametrize("name", LARGEST)
def test_any_number_of_threads_gives_the_same_bits(name, dtype, work, set_threads):
    call = inputs(name, work, dtype)
    for reverse in (False, True):
        set_threads(1)
        expected = everything("native", *call, reverse)
        for threads in (1, 2, 3, 4):
            set_threads(threads)
            assert_same_in_every_bit(everything("native", *call, reverse), expected)


@pytest.mark.parametrize("name", SUBJECTS)
def test_weights_packed_by_several_threads_are_the_same(name, set_threads):
    name, tensors, lengths = inputs(name, "ragged")
    found = []
    for threads in (1, 4):
        set_threads(threads)
        fresh = [t if t is None else t.detach().clone().requires_grad_() for t in tensors]
        found.append(everything("native", name, fresh, lengths))
    assert_same_in_every_bit(found[1], found[0])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shared", [True, False], ids=["the-same-layer", "layers-of-their-own"])
def test_python_threads_do_not_disturb_each_other(shared, threads, set_threads):
    set_threads(threads)
    calls = [inputs(name, "ragged") for name in ("lstm", "gru", "rnn-tanh", "lstm-peepholes")]
    calls = calls[:1] * 4 if shared else calls
    expected = [everything("native", *call) for call in calls]
    start = threading.Barrier(len(calls))

    def work(k: int) -> None:
        start.wait()
        for _ in range(8):
            assert_same_in_every_bit(everything("native", *calls[k]), expected[k])

    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(work, range(len(calls))))


def test_python_threads_may_all_be_the_first_to_pack_a_weight():
    name, tensors, lengths = inputs("lstm-projected", "ragged")
    expected = everything("native", name, tensors, lengths)
    for _ in range(5):
        fresh = [t if t is None else t.detach().clone().requires_grad_() for t in tensors]
        start = threading.Barrier(4)

        def work(_: int, fresh=fresh, start=start) -> dict:
            start.wait()
            return everything("native", name, fresh, lengths)

        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(work, range(4)):
                assert_same_in_every_bit(found, expected)
