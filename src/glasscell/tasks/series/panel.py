"""Many series on one grid of steps, as arrays: what models are trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from glasscell.errors import UserError
from glasscell.tasks.series.frequency import Frequency, find_frequency, moments_of
from glasscell.tasks.series.table import SERIES, TARGET, TIME, Table

if TYPE_CHECKING:
    import polars as pl

FILLS = ("none", "zero", "last", "linear")
MOST_CATEGORIES = 100  # of a column of words


@dataclass(frozen=True)
class Report:
    """What was found in the data, for a person.

    Attributes:
        rows: of the file, of all series.
        inserted: steps without a row.
        missing: rows without a target before the last one.
        sorted_here: rows were out of order.
        constant: series whose target never changes.
    """

    rows: int
    inserted: int
    missing: int
    sorted_here: bool
    constant: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Panel:
    """All series, one after the other, every step of the grid with a row.

    A series goes from its first to its last known step. The rows after its last target are its
    future: what is known in advance is given there.

    Attributes:
        frequency: of the grid.
        names: (S,) of the series.
        first: (S,) the place on the grid of each one's first row.
        offsets: (S + 1,) where each one's rows begin, and the last one's end.
        lengths: (S,) rows up to the last target.
        target: (N,) float64, NaN where it is missing.
        known: (N, K) float64, what is known in advance.
        observed: (N, O) float64, NaN where it is missing.
        static: (S, Q) float64.
        features: the names of the columns of known, observed, static: a column of words has one
            for each word.
        zone: of the times: "UTC", or None.
        dates: whether times are whole days.
        report: what was found.
    """

    frequency: Frequency
    names: tuple[str, ...]
    first: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    target: np.ndarray
    known: np.ndarray
    observed: np.ndarray
    static: np.ndarray
    features: Features
    zone: str | None
    dates: bool
    report: Report

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, s: int) -> slice:
        """The rows of series s, its future included."""
        return slice(int(self.offsets[s]), int(self.offsets[s + 1]))

    def history(self, s: int) -> slice:
        """The rows of series s up to its last target."""
        return slice(int(self.offsets[s]), int(self.offsets[s] + self.lengths[s]))

    def subset(self, series: np.ndarray) -> Panel:
        """Some of the series, by number."""
        rows = [np.arange(*map(int, self.offsets[s : s + 2])) for s in series]
        at = np.concatenate(rows) if rows else np.zeros(0, int)
        spans = np.diff(self.offsets)[series]
        return replace(
            self,
            names=tuple(self.names[s] for s in series),
            first=self.first[series],
            offsets=np.concatenate(([0], np.cumsum(spans))),
            lengths=self.lengths[series],
            target=self.target[at],
            known=self.known[at],
            observed=self.observed[at],
            static=self.static[series],
        )

    def with_known_shifted(self, name: str) -> Panel:
        """The same, with a column that is known in advance as it was a step before."""
        columns = [
            k for k, each in enumerate(self.features.known) if each.partition("=")[0] == name
        ]
        known = self.known.copy()
        before = np.arange(len(known)) - 1
        before[self.offsets[:-1]] += 1  # a first row stays
        known[:, columns] = self.known[before][:, columns]
        return replace(self, known=known)

    def times(self, places: np.ndarray) -> pl.Series:
        """The times of places on the grid, of the kind that they had in the data."""
        import polars as pl

        moments = self.frequency.moments(places)
        if self.frequency.kind == "number":
            return pl.Series(moments)
        times = pl.Series(moments.astype("datetime64[us]"))
        if self.dates:
            return times.dt.date()
        return times if self.zone is None else times.dt.replace_time_zone(self.zone)


@dataclass(frozen=True)
class Features:
    """The names of columns of features, and the words of those that have some.

    Attributes:
        known, observed, static: in the order of the arrays' columns; "holiday=easter" of a word.
        words: of each column of words, its words.
    """

    known: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] | None = None


def panel_of(
    table: Table,
    *,
    frequency: Frequency | None = None,
    features: Features | None = None,
    rounded: bool = False,
) -> Panel:
    """The panel of a table's rows.

    Args:
        frequency: of a model that is to read it; found from the data if absent.
        features: the same.
        rounded: take each time as the step that it lies in; else all must be on the grid.

    Raises:
        UserError: times that fit no grid, covariates that are missing or unlike before.
    """
    import polars as pl

    rows, where = table.rows, table.where
    moments = moments_of(rows[TIME])
    series = rows[SERIES].rle_id().to_numpy()
    is_first = np.concatenate(([True], series[1:] != series[:-1]))
    starts = np.flatnonzero(is_first)
    names = tuple(rows[SERIES].gather(starts).to_list())
    if frequency is None:
        frequency = find_frequency(moments, is_first, numbers=rows[TIME].dtype.is_numeric())
    if rounded:
        places = frequency.places_in(moments)
        _refuse_shared(places, is_first, table, frequency)
    else:
        try:
            places = frequency.positions(moments)
        except ValueError as error:
            raise UserError(f"{where}: the step is {frequency}, and {error}") from None

    last = np.concatenate((starts[1:], [len(places)])) - 1
    spans = places[last] - places[starts] + 1
    offsets = np.concatenate(([0], np.cumsum(spans)))
    at = offsets[series] + places - places[starts][series]  # of each row, on the grid
    N = int(offsets[-1])

    target = np.full(N, np.nan)
    target[at] = rows[TARGET].fill_null(float("nan")).to_numpy()
    there = np.isfinite(target)
    ends = np.arange(N)
    lengths = np.maximum.reduceat(np.where(there, ends, -1), offsets[:-1]) - offsets[:-1] + 1
    lengths = np.maximum(lengths, 0)
    taken = _taken(table, features)
    arrays = {role: _features(table, role, taken, at, N) for role in ("known", "observed")}
    inserted = N - len(places)
    known = _carried_on(arrays["known"], offsets) if inserted else arrays["known"]
    _refuse_missing(known, taken.known, table, at)
    static = _static(table, taken, starts, series)
    history = ends < (offsets[:-1] + lengths).repeat(spans)
    given = np.zeros(N, bool)
    given[at] = True
    report = Report(
        rows=len(places),
        inserted=int((history & ~given).sum()),
        missing=int((history & given & ~there).sum()),
        sorted_here=not table.was_sorted,
        constant=tuple(
            names[s] for s in np.flatnonzero(_are_constant(target, offsets)) if lengths[s]
        ),
    )
    times = rows[TIME].dtype
    return Panel(
        frequency=frequency,
        names=names,
        first=places[starts],
        offsets=offsets,
        lengths=lengths,
        target=target,
        known=known,
        observed=arrays["observed"],
        static=static,
        features=taken,
        zone="UTC" if isinstance(times, pl.Datetime) and times.time_zone else None,
        dates=times == pl.Date,
        report=report,
    )


def _refuse_shared(
    places: np.ndarray, is_first: np.ndarray, table: Table, frequency: Frequency
) -> None:
    """Raises UserError where two rows of a series lie in one step."""
    shared = np.flatnonzero((places[1:] == places[:-1]) & ~is_first[1:])
    if len(shared):
        at = int(shared[0])
        one, two = (table.rows[TIME][k] for k in (at, at + 1))
        more = f" ({len(shared):,} such pairs)" if len(shared) > 1 else ""
        raise UserError(
            f"{table.where}: {one} and {two} lie in the same step of {frequency}{more}: name a "
            "finer step, or add rows up first"
        )


def _are_constant(target: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(S,) whether a series has one value and no other."""
    low = np.fmin.reduceat(target, offsets[:-1])
    return low == np.fmax.reduceat(target, offsets[:-1])


def _taken(table: Table, given: Features | None) -> Features:
    """Which features there are: those of before, or all that the columns make."""
    if given is not None:
        return given
    words: dict[str, tuple[str, ...]] = {}
    names: dict[str, tuple[str, ...]] = {}
    for role in ("known", "observed", "static"):
        found: list[str] = []
        for name in getattr(table.columns, role):
            own = _words(table, name)
            if own is None:
                found.append(name)
                continue
            words[name] = own
            found += [f"{name}={word}" for word in own]
        names[role] = tuple(found)
    return Features(**names, words=words or None)


def _words(table: Table, name: str) -> tuple[str, ...] | None:
    """The words of a column, in order; None of one that holds numbers."""
    import polars as pl

    column = table.rows[name]
    if column.dtype.is_numeric() or column.dtype == pl.Boolean or _are_truths(column):
        return None
    plain = column.cast(pl.String).str.strip_chars()
    if not (plain.cast(pl.Float64, strict=False).is_null() & plain.is_not_null()).any():
        return None
    words = plain.drop_nulls().unique().sort().to_list()
    if len(words) > MOST_CATEGORIES:
        raise UserError(
            f"{table.where}, {name}: {len(words):,} different words, more than the "
            f"{MOST_CATEGORIES} that a column of words may have; the first is {words[0]!r}"
        )
    return tuple(words)


def _are_truths(column: pl.Series) -> bool:
    """Whether texts are all "true" or "false"."""
    import polars as pl

    if column.dtype != pl.String or column.null_count() == len(column):
        return False
    return bool(column.str.to_lowercase().is_in(["true", "false"]).all(ignore_nulls=True))


def _column(table: Table, name: str, features: Features) -> list[np.ndarray]:
    """The numbers of a column, one vector of all rows each; NaN where a cell is empty."""
    import polars as pl

    column = table.rows[name]
    own = (features.words or {}).get(name)
    if own is None:
        if _are_truths(column):
            column = column.str.to_lowercase() == "true"
        elif column.dtype == pl.String:
            column = column.str.strip_chars()
        numbers = column.cast(pl.Float64, strict=False)
        bad = numbers.is_null() & column.is_not_null() | numbers.is_infinite().fill_null(False)
        if bad.any():
            at = int(bad.arg_max() or 0)
            raise UserError(
                f"{table.where}, {name}: expected a finite number in row {table.rows['_row'][at]}, "
                f"got {column[at]!r}"
            )
        return [numbers.fill_null(float("nan")).to_numpy()]
    plain = column.cast(pl.String).str.strip_chars()
    strange = ~plain.is_in(list(own)) & plain.is_not_null()
    if strange.any():
        at = int(strange.arg_max() or 0)
        raise UserError(
            f"{table.where}, {name}: row {table.rows['_row'][at]} has {plain[at]!r}, which was not "
            f"there in training; there were {', '.join(own[:12])}"
        )
    return [(plain == word).cast(pl.Float64).fill_null(0.0).to_numpy() for word in own]


def _features(table: Table, role: str, features: Features, at: np.ndarray, N: int) -> np.ndarray:
    vectors = [v for name in getattr(table.columns, role) for v in _column(table, name, features)]
    found = np.full((N, len(vectors)), np.nan)
    for k, vector in enumerate(vectors):
        found[at, k] = vector
    return found


def _carried_on(known: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Known features of steps that have no row are those of the step before."""
    if not known.size:
        return known
    places = np.arange(len(known))
    last = np.maximum.accumulate(np.where(np.isfinite(known).all(-1), places, 0))
    first = offsets[:-1].repeat(np.diff(offsets))
    return known[np.maximum(last, first)]


def _refuse_missing(known: np.ndarray, names: Sequence[str], table: Table, at: np.ndarray) -> None:
    if not known.size or np.isfinite(known).all():
        return
    row, k = np.argwhere(~np.isfinite(known))[0]
    place = int(np.searchsorted(at, row))
    raise UserError(
        f"{table.where}, {str(names[k]).partition('=')[0]}: expected a value in row "
        f"{table.rows['_row'][min(place, len(at) - 1)]}: what is known in advance is known for "
        "every step; for one that is seen as it comes, use observed (--observed)"
    )


def _static(table: Table, features: Features, starts: np.ndarray, series: np.ndarray) -> np.ndarray:
    vectors: list[np.ndarray] = []
    for name in table.columns.static:
        for vector in _column(table, name, features):
            own = vector[starts]
            changes = (vector != own[series]) & ~np.isnan(vector)
            if changes.any():
                at = int(np.flatnonzero(changes)[0])
                raise UserError(
                    f"{table.where}, {name}: expected one value a series, but it changes in row "
                    f"{table.rows['_row'][at]}; what changes is known or observed"
                )
            vectors.append(own)
    found = np.stack(vectors, -1) if vectors else np.zeros((len(starts), 0))
    if not np.isfinite(found).all():
        s = int(np.argwhere(~np.isfinite(found))[0][0])
        raise UserError(f"{table.where}: a static value of series {s + 1} is missing")
    return found
