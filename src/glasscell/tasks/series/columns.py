"""Which columns of a table are what."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from glasscell.errors import UserError

ALL = "*"  # as the target: every column of numbers that is nothing else


@dataclass(frozen=True)
class Columns:
    """The roles of columns. What has none is not read.

    Attributes:
        target: what is forecast. Several columns are as many series, side by side in a wide file.
        time: when each row was; None where rows are in order, one step after the other.
        group: what tells the series of a long file apart; several columns do it together.
        known: what is known in advance, for the steps to be forecast too: holidays, prices.
        observed: what is known only up to now, like the target: yesterday's weather.
        static: what is always the same of a series: the population of a region.
    """

    target: tuple[str, ...]
    time: str | None = None
    group: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        target: str | Iterable[str],
        time: str | None = None,
        **others: str | Iterable[str] | None,
    ) -> Columns:
        """Columns by name: in one text with commas, or as several.

        Raises:
            UserError: no target, or a column that has two roles.
        """
        found = cls(names(target), time, **{role: names(each) for role, each in others.items()})
        if not found.target:
            raise UserError("target: name the column to forecast")
        taken: dict[str, str] = {}
        for role, name in found.roles():
            if name in taken:
                raise UserError(f"{role}: {name!r} is the {taken[name]} already")
            taken[name] = role
        return found

    def roles(self) -> list[tuple[str, str]]:
        """Each column's role and name."""
        of_role = {each.name: getattr(self, each.name) for each in fields(self)}
        of_role["time"] = () if self.time is None else (self.time,)
        return [(role, name) for role, each in of_role.items() for name in each]

    def require(self, there: Sequence[str], where: str) -> None:
        """Raises UserError where a table lacks one of them; the nearest names are told.

        Args:
            there: the table's columns.
            where: the table, for the message.
        """
        for role, name in self.roles():
            if name not in there and not (role == "target" and name == ALL):
                near = difflib.get_close_matches(name, there, 3)
                hint = f"did you mean {' or '.join(near)}?" if near else f"it has {_few(there)}"
                raise UserError(f"{role}: {where} has no column {name!r}; {hint}")


def names(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """Names in one text, parted by commas, or one by one."""
    if given is None:
        return ()
    parts = given.split(",") if isinstance(given, str) else given
    return tuple(part.strip() for part in parts if part.strip())


def _few(there: Sequence[str], most: int = 12) -> str:
    more = f", and {len(there) - most} more" if len(there) > most else ""
    return ", ".join(there[:most]) + more
