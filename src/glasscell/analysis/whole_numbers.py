"""Whole numbers that callers give: how many, which step, up to where."""

import operator
from typing import Any

from glasscell.errors import InputError


def whole_number(name: str, value: Any, least: int, most: int | None = None, why: str = "") -> int:
    """A whole number, checked.

    Args:
        name: the argument's, for the message.
        least, most: between which it must lie; without an upper bound if `most` is absent.
        why: said in the message after the bounds.

    Raises:
        InputError: no whole number, or one beyond the bounds.
    """
    expected = f"at least {least}" if most is None else f"{least} to {most}"
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise InputError(f"{name}: expected a whole number, {expected}{why}, got {value!r}")
    if number < least or (most is not None and number > most):
        raise InputError(f"{name}: expected {expected}{why}, got {number}")
    return number
