"""Small runs: a second or less each."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from small_run import SMALL, TEXT

from glasscell.training import LanguageRun, train_text


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small products are fastest on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def train(tmp_path) -> Callable[..., LanguageRun]:
    """Trains a small model on 6,000 characters; the folder is tmp_path / "run" unless named."""

    def run(**options: Any) -> LanguageRun:
        return train_text(**{"text": TEXT, "out": tmp_path / "run", **SMALL, **options})

    return run
