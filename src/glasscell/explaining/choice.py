"""Numbers of steps and units that somebody chose, checked."""

import operator
from typing import Any

from glasscell.errors import InputError


def chosen(name: str, given: Any, n: int, whose: str = "") -> list[int]:
    """Numbers 0 to n - 1 from one, several, or a slice; negative ones count from the end.

    Args:
        name: the argument's name.
        whose: what is counted, for the message: ", the steps of sequence 2".

    Raises:
        InputError: none, or one that is not there.
    """
    if isinstance(given, slice):
        given = range(n)[given]
    try:
        numbers = list(given)
    except TypeError:
        numbers = [given]
    if not numbers:
        raise InputError(f"{name}: expected some of {-n} to {n - 1}{whose}, got none")
    found = []
    for number in numbers:
        try:
            k = operator.index(number)
        except TypeError:
            k = n
        if isinstance(number, bool) or not -n <= k < n:
            raise InputError(f"{name}: expected {-n} to {n - 1}{whose}, got {number!r}")
        found.append(k % n)
    return found
