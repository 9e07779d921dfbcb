"""One series of numbers, forecast one step ahead: a column of a CSV file, split by time."""

from __future__ import annotations

import difflib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from glasscell.errors import InputError, UserError
from glasscell.nn.lines import LayerLine

if TYPE_CHECKING:
    import polars as pl

SHORTEST = 100  # rows; of fewer the held-out parts say nothing
HELD_OUT = 0.1  # of the rows, for validation, and as many after them for the test
WARM_UP = 200  # steps that a stretch of a held-out part is preceded by, read but not scored
STRETCHES = 32  # of a held-out part, read side by side


@dataclass(frozen=True, eq=False)
class Series:
    """A series in the units of its own changes, in three parts by time.

    Values are standardised on the training part: its mean is 0, its standard deviation 1.

    Attributes:
        name: the column.
        values: (N,) float32, standardised.
        train, validation: the first rows that are not of the part: train is
            [0, train), validation [train, validation), the test all after it.
        naive: the mean absolute change from one step to the next in the training part, in
            standardised units: what the scaled error is scaled by.
    """

    name: str
    values: Tensor
    train: int
    validation: int
    naive: float

    @classmethod
    def of(cls, values: Tensor, name: str = "series") -> Series:
        """Standardises and splits (N,) numbers.

        Raises:
            UserError: too few, not finite, or a training part that never changes.
        """
        values = values.double()
        N = len(values)
        if N < SHORTEST:
            raise UserError(f"{name}: expected at least {SHORTEST} rows, got {N}")
        if not bool(values.isfinite().all()):
            row = int((~values.isfinite()).nonzero()[0])
            raise UserError(f"{name}: expected numbers, got {float(values[row])} in row {row + 1}")
        held = max(10, int(HELD_OUT * N))
        train = N - 2 * held
        own = values[:train]
        spread = float(own.std())
        naive = float(own.diff().abs().mean())
        if not naive > 0 or not math.isfinite(spread):
            raise UserError(f"{name}: the training part (rows 1 to {train}) never changes")
        scaled = ((values - own.mean()) / spread).float()
        return cls(name, scaled, train, train + held, naive / spread)

    def scaled_error(self, model: nn.Module, part: str) -> float:
        """The mean absolute scaled error (Hyndman and Koehler 2006) of one-step forecasts.

        The mean absolute error over the naive forecast's in the training part: less than 1 is
        better than saying that nothing changes, there.

        Args:
            model: as `SeriesModel`; in evaluation mode.
            part: "validation" or "test".
        """
        first, last = self._bounds(part)
        n = last - first
        stretches = max(1, min(STRETCHES, n // WARM_UP))
        width = -(-n // stretches)
        begin = torch.arange(stretches) * width + first  # (B,)
        places = begin + torch.arange(-min(WARM_UP, first) + 1, width)[:, None]  # (T, B), forecast
        scored = (places >= begin) & (places < last)
        read = places.clamp(max=last - 1)
        with torch.no_grad():
            forecast = model(self.values[read - 1][..., None])[0].squeeze(-1)  # (T, B)
        errors = (forecast - self.values[read]).abs()[scored].double()
        return float(errors.mean()) / self.naive

    def naive_error(self, part: str) -> float:
        """The same of the naive forecast: the next value is this one."""
        first, last = self._bounds(part)
        changes = self.values[first - 1 : last].double().diff().abs()
        return float(changes.mean()) / self.naive

    def _bounds(self, part: str) -> tuple[int, int]:
        if part == "validation":
            return self.train, self.validation
        return self.validation, len(self.values)


class SeriesModel(nn.Module):
    """Forecasts the next value at each step: the last one, and a change read off the state.

    The recurrent layer is `self.rnn`, so a trace of the model names it "rnn.l0".

    Args:
        layer: in one line (`glasscell.nn.lines`).
        hidden: H, its units.
        dropout: fraction of the units dropped before the output, in training.
    """

    def __init__(self, layer: str, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.map, self.rnn = LayerLine.read(layer).opened.mapped(1, hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: Tensor, state: object = None) -> tuple[Tensor, object]:
        """Forecasts (T, B, 1) of the value after each of x (T, B, 1), and the last state."""
        h, last = self.rnn(self.map(x), state)  # (T, B, H)
        return x + self.head(self.dropout(h)), last


def read_series(
    path: str | os.PathLike[str], target: str | None = None, time: str | None = None
) -> Series:
    """The series in a column of a CSV file.

    Args:
        path: the file; its first line names the columns.
        target: the column; may be left out where only one holds numbers.
        time: a column by which rows must be in order.

    Raises:
        UserError: no such column, a value that is missing or no number, rows out of order; or
            Polars is not installed.
        OSError: the file cannot be read.
    """
    try:
        import polars as pl
    except ImportError:
        raise UserError("reading CSV needs Polars: pip install 'glasscell[compare]'") from None
    path = Path(path)
    try:
        table = pl.read_csv(path.read_bytes(), infer_schema_length=None, try_parse_dates=True)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        first = str(error).strip().splitlines()[0]
        raise UserError(f"{path} cannot be read as CSV: {first}") from None
    if time is not None:
        _require_order(table, _known(table, "time", time, path), path)
    column = _target(table, target, time, path)
    values = table[column].cast(pl.Float64, strict=False)
    if values.null_count():
        row = int(values.is_null().arg_max() or 0)
        given = table[column][row]
        what = "nothing" if given is None else repr(given)
        raise UserError(f"{path}, {column}: expected a number in row {row + 1}, got {what}")
    return Series.of(torch.from_numpy(values.to_numpy().copy()), column)


def _target(table: pl.DataFrame, target: str | None, time: str | None, path: Path) -> str:
    if target is not None:
        return _known(table, "target", target, path)
    numbers = [name for name in table.columns if table[name].dtype.is_numeric() and name != time]
    if len(numbers) != 1:
        which = ", ".join(numbers) if numbers else "none"
        raise UserError(
            f"{path}: say which column is forecast (target, --target); those with numbers: {which}"
        )
    return numbers[0]


def _known(table: pl.DataFrame, argument: str, name: str, path: Path) -> str:
    if name not in table.columns:
        near = difflib.get_close_matches(name, table.columns, 3) or table.columns[:20]
        raise UserError(f"{argument}: {path} has no column {name!r}; it has {', '.join(near)}")
    return name


def _require_order(table: pl.DataFrame, name: str, path: Path) -> None:
    times = table[name]
    if times.null_count():
        row = int(times.is_null().arg_max() or 0)
        raise UserError(f"{path}, {name}: expected a time in row {row + 1}, got nothing")
    later = (times > times.shift(1))[1:]
    if not later.all():
        row = 1 + int((~later).arg_max() or 0)
        raise UserError(
            f"{path}: expected rows in order of {name}, each later than the one before; row "
            f"{row + 1} ({times[row]}) is not later than row {row} ({times[row - 1]})"
        )


def windows(
    values: Tensor, steps: int, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Stretches of a series, drawn at random: inputs and the values one step later, (T, B, 1).

    Args:
        values: (N,).
        steps: T, of each; fewer where the series is short.
        count: B, how many.
        generator: for the draws.

    Raises:
        InputError: fewer than 2 values.
    """
    if len(values) < 2:
        raise InputError(f"values: expected at least 2, got {len(values)}")
    T = min(steps, len(values) - 1)
    start = torch.randint(len(values) - T, (count,), generator=generator)  # (B,)
    places = start + torch.arange(T + 1)[:, None]  # (T + 1, B)
    drawn = values[places][..., None]
    return drawn[:-1], drawn[1:]
