"""A table of series, from a CSV file or a frame: one row a series and step, checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glasscell.errors import UserError
from glasscell.tasks.series.columns import ALL, Columns
from glasscell.tasks.series.times import read_times

if TYPE_CHECKING:
    import polars as pl

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "-")  # written in cells
SERIES, TIME, TARGET, ROW = "_series", "_time", "_target", "_row"  # of the table that is made
SAMPLED = 1000  # rows by which the kinds of columns are guessed
NEEDS = "reading series needs Polars: pip install 'glasscell[series]'"


@dataclass(frozen=True)
class Table:
    """Rows of all series, in order of series and time; none of them twice.

    Attributes:
        rows: a frame with the columns `SERIES` (a name), `TIME`, `TARGET` (Float64, null where it
            is missing), `ROW` (in the file, from 1), and those that are known, observed, static.
        columns: which are what.
        where: the file or the frame, for messages.
        was_sorted: whether each series' rows came in the order of their times.
    """

    rows: pl.DataFrame
    columns: Columns
    where: str
    was_sorted: bool


def read_table(source: str | os.PathLike[str] | Any, columns: Columns) -> Table:
    """Reads what `columns` names.

    Args:
        source: a CSV file, or a frame of polars or pandas.

    Raises:
        UserError: a column that is not there, a cell that is no number, a time given twice, nothing
            to forecast; or Polars is not installed.
    """
    try:
        import polars as pl
    except ImportError:
        raise UserError(NEEDS) from None
    where = os.fspath(source) if isinstance(source, str | os.PathLike) else "the frame"
    frame = _read_csv(Path(where), columns) if where != "the frame" else _framed(source)
    if not frame.height:
        raise UserError(f"{where} has no rows")
    columns.require(frame.columns, where)
    columns = _with_all(frame, columns)
    frame = frame.with_row_index(ROW, offset=1)
    numbers = {
        name: _numbers(frame[name], f"{where}, {name}")
        for role, name in columns.roles()
        if role == "target"
    }
    kept = [name for role, name in columns.roles() if role in ("known", "observed", "static")]
    times = _times(frame, columns, where)
    base = frame.select(
        pl.col(ROW), _names(columns).alias(SERIES), times, *(pl.col(name) for name in kept)
    )
    several = len(numbers) > 1
    parts = []
    for name, values in numbers.items():
        part = base.with_columns(values.alias(TARGET))
        if several:
            whole = pl.lit(name) if not columns.group else pl.col(SERIES) + " " + pl.lit(name)
            part = part.with_columns(whole.alias(SERIES))
        parts.append(part)
    rows = pl.concat(parts) if several else parts[0]
    ordered = rows.sort(SERIES, TIME, maintain_order=True)
    _refuse_twice(ordered, columns, where)
    if ordered[TARGET].null_count() == ordered.height:
        raise UserError(f"{where}: {', '.join(numbers)} is missing in every row")
    later = ordered.select((pl.col(ROW).diff() > 0) | (pl.col(SERIES) != pl.col(SERIES).shift(1)))
    was_sorted = bool(later.to_series().fill_null(True).all())
    return Table(ordered, columns, where, was_sorted)


def _read_csv(path: Path, columns: Columns) -> pl.DataFrame:
    import polars as pl

    if not path.exists():
        raise UserError(f"there is no file {path}")
    if not path.stat().st_size:
        raise UserError(f"{path} is empty")
    mark = _separator(path)
    options: dict[str, Any] = {"separator": mark, "null_values": list(MISSING)}
    options["decimal_comma"] = mark == ";"
    try:
        head = pl.scan_csv(path, n_rows=SAMPLED, infer_schema_length=None, **options).collect()
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as CSV: {_first(error)}") from None
    columns.require(head.columns, str(path))
    columns = _with_all(head, columns)
    wanted = [name for _, name in columns.roles()]
    # times and covariates are looked at as they stand; targets are numbers, or that is said
    kinds: dict[str, Any] = dict.fromkeys(wanted, pl.String)
    kinds |= dict.fromkeys(columns.target, pl.Float64)
    kinds |= {
        name: head.schema[name]
        for role, name in columns.roles()
        if role in ("known", "observed", "static") and head.schema[name].is_numeric()
    }
    kinds = {name: pl.Float64 if k.is_integer() else k for name, k in kinds.items()}

    def read(kinds: dict[str, Any]) -> pl.DataFrame:
        scan = pl.scan_csv(path, schema_overrides=kinds, **options)
        return scan.select(wanted).collect()

    try:
        return read(kinds)
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        pass
    try:  # a cell is no number: as texts, so that it can be named
        return read(dict.fromkeys(head.columns, pl.String))
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as CSV: {_first(error)}") from None


def _separator(path: Path) -> str:
    """What parts the cells of the first line: a comma, or the commonest of the others."""
    with open(path, "rb") as file:
        first = file.readline(1 << 16).decode("utf-8", "replace")
    counts = {mark: first.count(mark) for mark in ",;\t|"}
    return max(counts, key=lambda mark: counts[mark])


def _framed(source: Any) -> pl.DataFrame:
    import polars as pl

    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        return source
    if type(source).__module__.partition(".")[0] == "pandas":
        index = source.index.names
        if any(name is not None for name in index):  # what is told by name is a column like others
            source = source.reset_index()
        return pl.DataFrame({str(name): _of_pandas(source[name]) for name in source.columns})
    raise UserError(
        f"data: expected a CSV file or a frame of polars or pandas, got {type(source).__name__}"
    )


def _of_pandas(column: Any) -> Any:
    import polars as pl

    if column.dtype.kind == "M" or "datetime64" in str(column.dtype):
        zone = getattr(column.dtype, "tz", None)
        utc = column.dt.tz_convert("UTC").dt.tz_localize(None) if zone is not None else column
        moments = pl.Series(utc.to_numpy().astype("datetime64[us]"))
        return moments.dt.replace_time_zone("UTC") if zone is not None else moments
    if column.dtype.kind in "iufb":
        return pl.Series(column.to_numpy())
    return pl.Series([None if each is None or each != each else each for each in column.tolist()])


def _with_all(frame: pl.DataFrame, columns: Columns) -> Columns:
    """The same, with "*" as what it stands for."""
    if columns.target != (ALL,):
        return columns
    taken = {name for _, name in columns.roles()}
    targets = tuple(
        name for name in frame.columns if frame.schema[name].is_numeric() and name not in taken
    )
    if not targets:
        raise UserError("target: no column of numbers is left to forecast")
    return Columns(targets, *(getattr(columns, each) for each in
                              ("time", "group", "known", "observed", "static")))  # fmt: skip


def _names(columns: Columns) -> Any:
    """The name of a row's series."""
    import polars as pl

    if not columns.group:
        return pl.lit("")
    parts = [pl.col(name).cast(pl.String).fill_null("(none)") for name in columns.group]
    return pl.concat_str(parts, separator=" ")


def _times(frame: pl.DataFrame, columns: Columns, where: str) -> pl.Series:
    import polars as pl

    if columns.time is None:
        if columns.group:
            raise UserError("time: name the column that says when each row was")
        return pl.Series(TIME, range(frame.height), dtype=pl.Int64)
    return read_times(frame[columns.time], f"{where}, {columns.time}").alias(TIME)


def _numbers(column: pl.Series, where: str) -> pl.Series:
    """A column as numbers, null where there is none.

    Raises:
        UserError: a cell that holds something else; its row is told.
    """
    import polars as pl

    plain = column.str.strip_chars() if column.dtype == pl.String else column
    if column.dtype == pl.String:
        plain = plain.set(plain.is_in(list(MISSING)), None)
    try:
        numbers = plain.cast(pl.Float64, strict=False).fill_nan(None)
    except pl.exceptions.PolarsError:
        raise UserError(f"{where}: expected numbers, got {column.dtype}") from None
    if column.dtype.is_float():
        plain = plain.fill_nan(None)
    bad = numbers.is_null() & plain.is_not_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise UserError(
            f"{where}: expected a number in row {row + 1}, got {column[row]!r}{_hint(column[row])}"
        )
    if numbers.is_infinite().any():
        row = int(numbers.is_infinite().arg_max() or 0)
        raise UserError(f"{where}: expected a finite number in row {row + 1}, got {column[row]}")
    return numbers


def _hint(cell: Any) -> str:
    text = str(cell)
    if "," in text and text.replace(",", "").replace(".", "").lstrip("-").isdigit():
        return " (write 1234.5, without thousands and with a point)"
    return ""


def _refuse_twice(rows: pl.DataFrame, columns: Columns, where: str) -> None:
    import polars as pl

    twice = rows.select(
        ((pl.col(SERIES) == pl.col(SERIES).shift(1)) & (pl.col(TIME) == pl.col(TIME).shift(1)))
        .fill_null(False)
        .alias("twice")
    )["twice"]
    if not twice.any():
        return
    at = int(twice.arg_max() or 0)
    name, time = rows[SERIES][at], rows[TIME][at]
    series = f"of {name!r} " if name else ""
    more = f" ({int(twice.sum()):,} such rows)" if twice.sum() > 1 else ""
    way_out = ""
    if not columns.group:
        way_out = "; of several series, name the column that tells them apart (group, --group)"
    raise UserError(
        f"{where}: the time {time} {series}is given twice, in rows {rows[ROW][at - 1]} and "
        f"{rows[ROW][at]}{more}{way_out}"
    )


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def require_numbers(table: Table, of: Sequence[str]) -> None:
    """Raises UserError where one of these columns has cells that are no numbers."""
    for name in of:
        _numbers(table.rows[name], f"{table.where}, {name}")
