"""The one table of tolerances, for every engine, cell and dtype, and the comparison that uses it.

An error is measured against the size of what is compared: the largest difference of any element
may be this fraction of the largest expected magnitude, or of 1 where everything is smaller.
What engines, layers and traces compute is compared with this table and no other; a test of them
that needs another tolerance has found a bug.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

# About twice the largest error seen in half and single precision, over up to 130 steps and sums of
# 130 products; a hundred times in double, where the next order of summation may double it.
TOLERANCES: Mapping[torch.dtype, Mapping[str, float]] = {
    torch.float64: {"value": 1e-13, "gradient": 1e-13},
    torch.float32: {"value": 5e-6, "gradient": 5e-6},
    torch.bfloat16: {"value": 2e-2, "gradient": 3e-2},
    torch.float16: {"value": 2e-3, "gradient": 4e-3},
}


def error(actual: Tensor, expected: Tensor) -> float:
    """The largest difference of any element, as a fraction of the largest expected one or of 1."""
    if expected.numel() == 0:
        return 0.0
    expected = expected.detach().to("cpu", torch.float64)
    difference = (actual.detach().to("cpu", torch.float64) - expected).abs().max()
    return float(difference / expected.abs().max().clamp(min=1))


def assert_same_bits(actual: Tensor | None, expected: Tensor | None, name: str = "value") -> None:
    """Asserts that two tensors are equal in every element, or both absent."""
    assert (actual is None) == (expected is None), f"{name}: {actual} for {expected}"
    if actual is not None and expected is not None:
        assert actual.dtype == expected.dtype, f"{name}: {actual.dtype} for {expected.dtype}"
        assert torch.equal(actual, expected), f"{name}: error {error(actual, expected):.2e}"


def assert_close(
    actual: Tensor | None,
    expected: Tensor | None,
    name: str = "value",
    *,
    dtype: torch.dtype | None = None,
    kind: str = "value",
) -> None:
    """Asserts shape, finiteness and closeness; the dtype that rounds is `actual`'s own by default.

    Args:
        name: what is compared, for the failing message.
        kind: "value" or "gradient".
    """
    assert (actual is None) == (expected is None), f"{name}: {actual} for {expected}"
    if actual is None or expected is None:
        return
    assert actual.shape == expected.shape, f"{name}: {actual.shape} for {expected.shape}"
    assert torch.isfinite(actual).all(), f"{name}: not finite"
    allowed = TOLERANCES[dtype or actual.dtype][kind]
    found = error(actual, expected)
    assert found <= allowed, f"{name}: error {found:.2e}, allowed {allowed:.2e}"
