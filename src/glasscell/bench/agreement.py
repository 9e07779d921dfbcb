"""Whether a peer computed the right thing: its answer beside torch.nn's in float64."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Answer:
    """What one run computed, by name: outputs, states and gates; and gradients, if it had any."""

    values: dict[str, Tensor]
    gradients: dict[str, Tensor] = field(default_factory=dict)


# The largest difference of any element, as a fraction of the largest expected one, or of 1 where
# all are smaller. The sizes here are larger than those of the tests, and so are sums and errors:
# some five times the largest that any peer makes, and far below that of gates in another order.
TOLERANCES: Mapping[torch.dtype, Mapping[str, float]] = {
    torch.float64: {"value": 1e-12, "gradient": 1e-12},
    torch.float32: {"value": 1e-5, "gradient": 2e-5},
    torch.bfloat16: {"value": 2e-2, "gradient": 3e-2},
}


def disagreement(answer: Answer, expected: Answer, dtype: torch.dtype) -> str | None:
    """Where two answers differ more than rounding explains, in words; None if they agree.

    Only what is in both is compared: not every peer hands out all that ours does.
    """
    if not answer.values.keys() & expected.values.keys():
        return "there is nothing to compare"
    for kind, found, right in (
        ("value", answer.values, expected.values),
        ("gradient", answer.gradients, expected.gradients),
    ):
        allowed = TOLERANCES[dtype][kind]
        for name in found.keys() & right.keys():
            what = name if kind == "value" else f"the gradient of {name}"
            if found[name].shape != right[name].shape:
                shapes = tuple(found[name].shape), tuple(right[name].shape)
                return f"{what} has shape {shapes[0]}, expected {shapes[1]}"
            error = _error(found[name], right[name])
            if not error <= allowed:
                return f"{what} is off by {error:.1e} of its size, allowed {allowed:.0e}"
    return None


def _error(found: Tensor, right: Tensor) -> float:
    if right.numel() == 0:
        return 0.0
    right = right.detach().double()
    difference = (found.detach().double() - right).abs().max()
    return float(difference / right.abs().max().clamp(min=1))
