"""No shape may be much slower than torch.nn: a grid from one step of one sequence upwards."""

from collections.abc import Iterator
from itertools import product

from glasscell.bench.comparison import Comparison
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject, side_by_side

# T, batches, sizes
GRIDS = (
    (100, (1, 2, 4, 8, 16, 32, 64, 128), (16, 64, 128, 256)),
    (100, (1, 8, 128), (32, 512)),
    (10, (1, 8, 64), (32, 128, 512)),
    (1, (1, 16, 128), (64, 256, 1024)),
)


def shapes(scale: Scale) -> Iterator[Comparison]:
    """LSTM, inference and training, with the engine that "auto" picks."""
    for T, batches, sizes in GRIDS:
        steps = min(T, scale.T)
        for (B, H), trained in product(scale.grid(batches, sizes), (False, True)):
            subject = Subject(B, H, steps, trained=trained)
            work = "training" if trained else "inference"
            case = f"B {B:<3} H {H:<4} T {steps:<3} {work}"
            yield side_by_side(subject, engine="auto", case=case)
