"""That what is shown adds up: to what the cell's own step gives, and to what a run recorded."""

import torch

from glasscell.explaining.moment import Moment
from glasscell.explaining.named import Numbers, largest_gap
from glasscell.explaining.numerals import number
from glasscell.explaining.pieces import (
    Check,
    Heading,
    Piece,
    Prose,
)

SAME = 1e-9  # two ways of adding up the same float64 numbers differ by less, relative to them
EDITED = (
    "The run was edited at this layer (`glasscell.edit`). The states before this step are those "
    "of the edited run; the step itself is shown as the cell takes it without an edit."
)
EDITED_RECORD = (
    "The run was edited at this layer (`glasscell.edit`), so what is shown need not follow from "
    "the equations."
)
ROUNDINGS = 200  # as many of a run's own roundings may lie between it and float64


def accounts(moment: Moment, numbers: Numbers) -> list[Piece]:
    """The last part of an explained step: its equations worked out, and the run beside them."""
    computed = moment.weights is not None
    pieces: list[Piece] = []
    if computed or not moment.edited:
        gap = max(numbers.gaps.values(), default=0.0)
        told = "what the cell's own step gives" if computed else "what the record holds"
        pieces.append(
            Check(
                "every sum and every squash above, computed again from what goes into it, is "
                f"{told}: the largest difference is {number(gap, 2)}",
                gap <= (SAME if computed else _rounding(moment)),
            )
        )
    if moment.edited:
        pieces.append(Prose(EDITED if computed else EDITED_RECORD))
    elif computed and moment.recorded:
        pieces.append(_beside_the_run(moment))
    return [Heading("Does it add up?"), *pieces]


def _beside_the_run(moment: Moment) -> Check:
    ours, run = (moment.step.h, moment.step.c), moment.recorded
    gap = max(
        largest_gap(mine.numpy(), theirs.detach().double().cpu().numpy())
        for mine, theirs in zip(ours, run, strict=False)
        if mine is not None
    )
    told = "$h_t$ is" if len(run) == 1 else "$h_t$ and $c_t$ are"
    precision = str(run[0].dtype).removeprefix("torch.")
    return Check(
        f"{told} what the model's own run gave at this step, in {precision}: the largest "
        f"difference is {number(gap, 2)}",
        gap <= _rounding(moment),
    )


def _rounding(moment: Moment) -> float:
    """What a run in its own precision may be away from float64."""
    dtype = moment.recorded[0].dtype if moment.recorded else torch.float32
    eps = max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)  # sigmoid and tanh are fast
    return ROUNDINGS * eps if eps < 1e-4 else 8 * eps
