"""Trainings that never were, with scores of one's choice."""

from collections.abc import Mapping, Sequence

from glasscell.comparing.comparison import Comparison
from glasscell.comparing.comparison_of import comparison_of
from glasscell.comparing.measure import Measure
from glasscell.comparing.models import Size
from glasscell.comparing.trainings.run import Run
from glasscell.comparing.trainings.timed import Look

BITS = Measure("bits a character", True, margin=0.02, levels=(("counting", 2.4),))
SHARE = Measure("steps right", False, margin=0.01)


def run(cell: str, seed: int, score: float | None, **changes) -> Run:
    usual = {
        "size": Size(64),
        "parameters": 20_000,
        "status": "done",
        "score": score,
        "looks": (Look(50, 0.5, (score or 2) + 1), Look(100, 1.0, score or 2)),
        "updates": 100,
        "seconds": 1.0,
        "wall_seconds": 1.5,
        "training_speed": 1e5,
        "inference_speed": 5e5,
        "learning_rate": 0.01,
    }
    return Run(cell, seed, **{**usual, **changes})


def made_up(
    scores: Mapping[str, Sequence[float | None]], measure: Measure = BITS, **options
) -> Comparison:
    """A comparison with these scores, seed by seed; None has diverged."""
    runs = []
    for cell, each in scores.items():
        for seed, score in enumerate(each):
            lost = {"status": "diverged", "why": "the loss became nan at step 7"}
            runs.append(run(cell, seed, score, **(lost if score is None else {})))
    return comparison_of(
        runs,
        cells=list(scores),
        title="book.txt",
        measure=measure,
        **{"facts": ("a fact",), **options},
    )
