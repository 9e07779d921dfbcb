"""Runs that left the numbers: where NaN or infinity comes up first, for those who cannot go on."""

import torch
from torch import Tensor

from glasscell.errors import InputError
from glasscell.nn.layout import Layout


def expect_finite(
    name: str, what: str, values: Tensor, layout: Layout, *, reverse: bool, b: int | None = None
) -> None:
    """Refuses a run that holds NaN or infinity, and says from which step on.

    Args:
        name, what: of the layer, and of what the numbers are: "states".
        values: (N, ...) packed tokens.
        layout: how the caller's sequences lie in them.
        reverse: whether the recurrence began at the sequences' ends.
        b: a sequence of the caller's batch, if only that one counts.

    Raises:
        InputError: there is such a step.
    """
    wrong = ~values.detach().isfinite().flatten(1).all(-1).cpu()  # (N,)
    if not wrong.any():
        return
    t, sequence = layout.packing.step_and_sequence()
    if layout.order is not None:
        sequence = layout.order.cpu()[sequence]
    if b is not None:
        wrong &= sequence == b % layout.packing.B
    rows = torch.nonzero(wrong)[:, 0]
    if len(rows):  # tokens lie in the order of their steps
        row = int(rows[-1 if reverse else 0])
        which = int(sequence[row]) if layout.batched else None
        raise not_finite(name, what, values[row], int(t[row]), which, reverse=reverse)


def not_finite(
    name: str, what: str, values: Tensor, step: int, b: int | None, *, reverse: bool
) -> InputError:
    """What to raise where numbers are not finite for the first time.

    Args:
        values: those of this step.
        step, b: which step, and of which sequence; None for the only one.
        reverse: whether the recurrence goes on to earlier steps from here.
    """
    holds = "NaN" if bool(values.isnan().any()) else "infinity"
    whose = "" if b is None else f" of sequence {b}"
    on = "back" if reverse else "on"
    return InputError(
        f"{name}: expected finite {what}, got some that hold {holds} from step {step}{whose} {on}"
    )
