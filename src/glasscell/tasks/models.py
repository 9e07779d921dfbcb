"""What the models of all tasks have to do with: memory that does not suffice, and their mode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from glasscell.errors import UserError

LARGEST = 2**31 - 1  # of any size: beyond it torch's own arithmetic of sizes gives out


@contextmanager
def telling_of_memory() -> Iterator[None]:
    """Turns torch's errors of allocation, each of another kind, into one sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        plain = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not plain and not re.search(r"allocate|overflow", str(error)):
            raise
        raise UserError("there is not enough memory for a model of this size") from error


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode and without gradients; the model's mode is put back."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)
