"""Times as people write them, read the same for a whole column or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glasscell.errors import UserError

if TYPE_CHECKING:
    import polars as pl

OFFSET = r"(?:Z|[+-]\d{2}:?\d{2})$"
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y")
MONTHS = ("%Y-%m", "%Y/%m")
CLOCKS = ("%H:%M:%S%.f", "%H:%M")
READ = "2024-03-31, 2024-03-31 14:00 and 2024-03-31T14:00:00+01:00"


def read_times(given: pl.Series, where: str) -> pl.Series:
    """The times of a column of texts: whole numbers, or dates and times; those with an offset
    become UTC.

    Args:
        given: as it stands in the file; of numbers or times, it is returned as it is.
        where: the file and the column, for messages.

    Raises:
        UserError: a row without a time, texts that are no times, some with an offset and others
            without, or days and months that cannot be told apart.
    """
    import polars as pl

    if given.null_count():
        row = int(given.is_null().arg_max() or 0)
        raise UserError(f"{where}: expected a time in row {row + 1}, got nothing")
    if given.dtype != pl.String:
        return given
    given = given.str.strip_chars()
    if given.str.contains(r"^(19|20)\d{6}$").all() and (days := _as(given, "%Y%m%d")) is not None:
        return days
    numbers = given.cast(pl.Float64, strict=False)
    if not numbers.null_count():
        return numbers
    zoned = given.str.contains(r"\d{2}:\d{2}.*" + OFFSET)
    if zoned.all():
        return _zoned(given, where)
    if zoned.any():
        with_, without = int(zoned.arg_max() or 0), int((~zoned).arg_max() or 0)
        raise UserError(
            f"{where}: mixed time zones: row {with_ + 1} has an offset ({given[with_]}), row "
            f"{without + 1} has none ({given[without]}); give all times in one way"
        )
    fitting = [read for form in _forms(given) if (read := _as(given, form)) is not None]
    if not fitting:
        raise UserError(_unread(given, where))
    if any(not other.equals(fitting[0]) for other in fitting[1:]):
        raise UserError(
            f"{where}: {given[0]} can be read with the day or with the month first; write times as "
            "2024-03-31"
        )
    return fitting[0]


def _zoned(given: pl.Series, where: str) -> pl.Series:
    same = given.str.replace(r"Z$", "+00:00").str.replace(r" ([+-])", "$1").str.replace(" ", "T")
    for clock in ("%H:%M:%S%.f", "%H:%M"):
        read = same.str.to_datetime(f"%Y-%m-%dT{clock}%z", strict=False, time_unit="us")
        if not read.null_count():
            return read
    raise UserError(_unread(given, where))


def _forms(given: pl.Series) -> list[str]:
    first = given[0]
    if ":" not in first:
        return [*DATES, *MONTHS]
    joint = "T" if "T" in first else " "
    return [f"{date}{joint}{clock}" for date in DATES for clock in CLOCKS]


def _as(given: pl.Series, form: str) -> pl.Series | None:
    """The column read in one form, or None where not all of it is."""
    import polars as pl

    try:
        if _unlike(given[0], form):
            return None
        if form in MONTHS:
            given, form = given + form[4] + "1", f"{form}{form[4]}%d"
        if ":" in form or "%H" in form:
            read = given.str.to_datetime(form, strict=False, time_unit="us")
        else:
            read = given.str.to_date(form, strict=False)
    except pl.exceptions.PolarsError:
        return None
    return None if read.null_count() else read


def _unlike(text: str, form: str) -> bool:
    """Whether a text cannot be of a form, by its marks: parsers are generous with what is left."""
    marks = [c for c in form.replace("%.f", "").replace("%", "") if not c.isalpha()]
    return [c for c in text if c in "-/. :"][: len(marks)] != marks


def _unread(given: pl.Series, where: str) -> str:
    row = 0
    first = (form for form in _forms(given) if _as(given.slice(0, 1), form) is not None)
    if (form := next(first, None)) is not None:  # the first is a time, and a later one is not
        low, high = 0, len(given)  # of the first part that can be read
        while high - low > 1:
            middle = (low + high) // 2
            ok = _as(given.slice(0, middle), form) is not None
            low, high = (middle, high) if ok else (low, middle)
        row = low
    return f"{where}: expected a time in row {row + 1}, such as {READ}, got {given[row]!r}"
