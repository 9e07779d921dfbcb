"""Between the arrays of other libraries and our tensors, bit for bit, with shapes checked."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from glasscell.errors import InputError

DTYPES = ("float16", "bfloat16", "float32", "float64")


def tensor(name: str, given: Any, shape: tuple[int | str, ...]) -> Tensor:
    """A copy of an array, or of a tensor.

    Args:
        name: what it is called in an error.
        shape: what it must be; a letter takes any size.

    Raises:
        InputError: another shape, or numbers that no weight is made of.
    """
    array = given.detach() if isinstance(given, Tensor) else np.asarray(given)
    dtype = str(array.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise InputError(f"{name}: expected one of {', '.join(DTYPES)}, got {dtype}")
    fits = len(array.shape) == len(shape) and all(
        isinstance(size, str) or size == found
        for size, found in zip(shape, array.shape, strict=True)
    )
    if not fits:
        expected = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise InputError(f"{name}: expected ({expected}), got {tuple(array.shape)}")
    if isinstance(array, Tensor):
        return array.cpu().clone()
    if dtype == "bfloat16":  # a type of another package; torch has its own
        return torch.from_numpy(array.astype(np.float32)).bfloat16()
    return torch.from_numpy(np.array(array, order="C"))


def array(tensor: Tensor) -> np.ndarray:
    """A copy of a tensor; bfloat16, which NumPy does not have, becomes float32."""
    values = tensor.detach().cpu()
    values = values.float() if values.dtype == torch.bfloat16 else values
    return np.array(values.numpy(), order="C")
