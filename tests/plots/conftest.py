"""A small language model's trace to draw."""

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import glasscell
from glasscell.tracing import Trace


class Read(NamedTuple):
    """What a model read and what went on inside."""

    trace: Trace
    ids: Tensor
    logits: Tensor
    vocabulary: list[str]


@pytest.fixture
def read():
    """`read(vocabulary, ids, kind=...)`: an untrained model that reads the ids."""

    def make(vocabulary: list[str], ids: list[int], kind=glasscell.LSTM, **options) -> Read:
        torch.manual_seed(0)
        V = len(vocabulary)
        layer = kind(V, options.pop("hidden", 6), **options)
        tokens = torch.tensor(ids)
        with torch.no_grad(), glasscell.trace(layer) as trace:
            layer(3 * F.one_hot(tokens, V).float()[:, None])
        return Read(trace, tokens, torch.randn(len(ids), V), vocabulary)

    return make
