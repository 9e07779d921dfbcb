"""The kernels in a forked process, whose parent has used its threads: same bits, and no deadlock.

A forked process inherits the memory of its parent but only one of its threads.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable

import pytest
import torch
from tests.engines.calls import assert_same_in_every_bit, everything, leaves
from tests.engines.subjects import NEEDS_KERNELS
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import glasscell

I, H, LENGTHS = 32, 272, [4] * 16  # large enough for several threads
PATIENCE = 60  # seconds

pytestmark = [
    NEEDS_KERNELS,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    # Newer Pythons warn of the deadlock that these tests look for.
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def in_a_fork(work: Callable[[], None]) -> None:
    """Runs it in a forked process; fails where it does, or where it does not end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the forked process did not end")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["lstm-projected", "gru"])
def test_the_same_bits_after_a_fork(name, threads, set_threads):
    set_threads(threads)
    tensors = leaves(name, LENGTHS, I, H, torch.float32)
    expected = everything("native", name, tensors, LENGTHS)

    # PyTorch's own parallel operations do not survive a fork: copies are made here, and NumPy
    # compares.
    fresh = [t if t is None else t.detach().clone().requires_grad_() for t in tensors]
    arrays = {key: value.numpy() for key, value in expected.items()}

    def again() -> None:
        for each in (tensors, fresh):  # packed before the fork, and not yet
            for key, value in everything("native", name, each, LENGTHS).items():
                assert (value.numpy() == arrays[key]).all(), key

    in_a_fork(again)
    in_a_fork(lambda: in_a_fork(again))
    assert_same_in_every_bit(everything("native", name, tensors, LENGTHS), expected)


def train(layer: torch.nn.Module, x: Tensor, queue) -> None:
    output, _ = layer(x)
    output.square().sum().backward()
    grads = [p.grad for p in layer.parameters() if p.grad is not None]
    queue.put([tensor.detach().numpy() for tensor in (output, *grads)])


def test_processes_of_a_pool_train_the_same_layer(set_threads):
    set_threads(2)
    layer, x = glasscell.LSTM(I, H, engine="native"), torch.randn(4, 16, I)
    output, _ = layer(x)
    output.square().sum().backward()
    expected = [output.detach(), *(p.grad for p in layer.parameters())]
    layer.zero_grad()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=train, args=(layer, x, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [queue.get(timeout=PATIENCE) for _ in workers]
    for worker in workers:
        worker.join(PATIENCE)
        assert worker.exitcode == 0
    for arrays in found:
        for array, tensor in zip(arrays, expected, strict=True):
            assert torch.equal(torch.from_numpy(array), tensor)


class Encoded(Dataset):
    """Sequences, each as the last state of a frozen layer: what people do in a data loader."""

    def __init__(self, layer: glasscell.GRU, sequences: Tensor) -> None:
        self.layer, self.sequences = layer, sequences

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, k: int) -> Tensor:
        with torch.no_grad():
            return self.layer(self.sequences[k])[1][0]


def test_workers_of_a_data_loader(set_threads):
    set_threads(2)
    data = Encoded(glasscell.GRU(I, H, engine="native"), torch.randn(6, 9, I))
    expected = torch.stack([data[k] for k in range(6)])
    loader = DataLoader(data, 2, num_workers=2, multiprocessing_context="fork", timeout=PATIENCE)
    assert torch.equal(torch.cat(list(loader)), expected)
