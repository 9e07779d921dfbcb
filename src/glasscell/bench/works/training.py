"""Training steps, dense and ragged, of the layers and precisions that people train."""

from collections.abc import Iterator

import torch

from glasscell.bench.comparison import Comparison
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject, side_by_side

BATCHES, SIZES = (16, 32, 64), (128, 256, 512)
RAGGED_BATCHES = (32, 64)


def float32(scale: Scale) -> Iterator[Comparison]:
    """LSTM in float32, every gate kept, beside nn.LSTM, which keeps them to itself."""
    return _dense(scale, gates_kept=True)


def bfloat16(scale: Scale) -> Iterator[Comparison]:
    """The same in bfloat16, weights, activations and all, on both sides."""
    return _dense(scale, gates_kept=True, dtype=torch.bfloat16)


def gru(scale: Scale) -> Iterator[Comparison]:
    """GRU in float32."""
    return _dense(scale, kind="GRU")


def projection(scale: Scale) -> Iterator[Comparison]:
    """LSTM whose hidden state is projected to half its size."""
    return _dense(scale, projected=True)


def float64(scale: Scale) -> Iterator[Comparison]:
    """LSTM in float64."""
    return _dense(scale, dtype=torch.float64)


def ragged(scale: Scale) -> Iterator[Comparison]:
    """LSTM on a PackedSequence whose mean length is 55 % of T."""
    for B, H in scale.grid(RAGGED_BATCHES, SIZES):
        yield side_by_side(Subject(B, H, scale.T, ragged=True, trained=True))


def _dense(scale: Scale, *, gates_kept: bool = False, **options) -> Iterator[Comparison]:
    for B, H in scale.grid(BATCHES, SIZES):
        subject = Subject(B, H, scale.T, trained=True, **options)
        yield side_by_side(subject, gates_kept=gates_kept)
