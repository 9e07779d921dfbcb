"""Which of several a caller means: a number, several, a slice, or all."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glasscell.errors import InputError

Index = int | slice | Sequence[int] | Tensor | None


def chosen(index: Index, size: int, name: str) -> Tensor:
    """The numbers from 0 to size - 1 that an index means, in its order.

    Raises:
        InputError: a number that is not there.
    """
    if index is None:
        return torch.arange(size)
    if isinstance(index, slice):
        return torch.tensor(range(size)[index], dtype=torch.int64)
    found = []
    for number in numbers_of(index):
        if not -size <= number < size:
            raise InputError(f"{name}: expected {-size} to {size - 1}, got {number}")
        found.append(number % size)
    return torch.tensor(found, dtype=torch.int64)


def chosen_of(index: Index, length: int) -> list[tuple[int, int]]:
    """Of one sequence: the place of each chosen step among those chosen, and the step; steps that
    it does not have are left out.
    """
    if index is None or isinstance(index, slice):
        return list(enumerate(range(length)[index or slice(None)]))
    return [
        (k, number % length)
        for k, number in enumerate(numbers_of(index))
        if -length <= number < length
    ]


def place_among(index: Index, step: int) -> tuple[int, int | None]:
    """The place of a step among those chosen, and how many these are; None if that has no end."""
    if index is None:
        return step, None
    if isinstance(index, slice):
        steps = range(step + 1)[index]
        n = None if index.stop is None else len(range(index.stop)[index])
        return steps.index(step), n
    return numbers_of(index).index(step), len(numbers_of(index))


def is_sorted(index: Index) -> bool:
    """Whether an index names what it chooses in order."""
    if index is None or isinstance(index, slice):
        return index is None or (index.step or 1) > 0
    return numbers_of(index) == sorted(numbers_of(index))


def counts_from_the_end(index: Index) -> bool:
    if isinstance(index, slice):
        given = (index.start, index.stop, index.step)
        return any(each is not None and each < 0 for each in given)
    if isinstance(index, int):
        return index < 0
    return index is not None and any(int(each) < 0 for each in index)


def includes(index: Index, step: int) -> bool:
    """Whether an index of steps names this one.

    Raises:
        InputError: it counts from an end that is not known.
    """
    if counts_from_the_end(index):
        raise InputError(
            f"steps: expected steps from the first on, got {index}: a sequence that is taken "
            "step by step has no known end to count from"
        )
    if index is None:
        return True
    if isinstance(index, slice):
        return step in range(step + 1)[index]
    return step == index if isinstance(index, int) else step in [int(each) for each in index]


def check_index(index: Any, name: str) -> Index:
    """An index as it was given, with tensors as lists.

    Raises:
        TypeError: no index.
    """
    wrong = TypeError(
        f"{name}: expected a whole number, a list of them, a slice or None, got {index!r}"
    )
    if index is None:
        return index
    if isinstance(index, slice):
        for each in (index.start, index.stop, index.step):
            if each is not None and (isinstance(each, bool) or not hasattr(each, "__index__")):
                raise wrong
        return index
    if isinstance(index, Tensor) or hasattr(index, "tolist"):
        index = index.tolist()
    if isinstance(index, range):
        index = list(index)
    if hasattr(index, "__index__") and not isinstance(index, bool):
        return int(index)
    if not isinstance(index, (list, tuple)) or not all(
        hasattr(each, "__index__") and not isinstance(each, bool) for each in index
    ):
        raise wrong
    return tuple(int(each) for each in index)


def numbers_of(index: int | Sequence[int] | Tensor) -> list[int]:
    return [index] if isinstance(index, int) else [int(each) for each in index]
