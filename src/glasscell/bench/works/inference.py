"""Inference: dense against the best of torch.nn and the installed runtimes; ragged; alone."""

from collections.abc import Iterator

import torch

from glasscell.bench.comparison import Comparison
from glasscell.bench.runtimes import installed
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject, side_by_side
from glasscell.bench.works.training import RAGGED_BATCHES, SIZES

BATCHES = (16, 32, 64, 128)
SINGLE_SIZES = (64, 128, 256, 512)


def batched(scale: Scale) -> Iterator[Comparison]:
    """LSTM in float32 on batches of 16 and more."""
    for B, H in scale.grid(BATCHES, SIZES):
        yield side_by_side(Subject(B, H, scale.T), runtimes=installed())


def single(scale: Scale) -> Iterator[Comparison]:
    """LSTM on one sequence, in float32 and in bfloat16."""
    for dtype, name in ((torch.float32, "float32"), (torch.bfloat16, "bfloat16")):
        for B, H in scale.grid((1,), SINGLE_SIZES):
            subject = Subject(B, H, scale.T, dtype=dtype)
            yield side_by_side(subject, runtimes=installed(), case=f"{subject.case} {name}")


def ragged(scale: Scale) -> Iterator[Comparison]:
    """LSTM on a PackedSequence whose mean length is 55 % of T."""
    for B, H in scale.grid(RAGGED_BATCHES, SIZES):
        yield side_by_side(Subject(B, H, scale.T, ragged=True))
