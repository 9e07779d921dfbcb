"""What tests of the native engine get: its instruction sets one by one, and threads to run on."""

from collections.abc import Callable, Iterator

import pytest
import torch

from glasscell.engines.packed import kernels

VARIANTS = kernels().variants() if kernels() else []  # type: ignore[union-attr]


@pytest.fixture(params=VARIANTS)
def variant(request) -> Iterator[str]:
    """An instruction set; weights packed while the test lasts are packed for it."""
    module = kernels()
    assert module is not None
    before = module.variant()
    module.use_variant(request.param)
    yield request.param
    module.use_variant(before)


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """`torch.set_num_threads`, undone after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
