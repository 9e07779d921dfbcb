"""`glasscell forecast`: what comes next of each series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glasscell.errors import UserError

if TYPE_CHECKING:
    from glasscell.tasks.series.forecast import Forecast

SHOWN = 60  # rows printed
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def forecast(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A model folder.")],
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="The series until now, in the columns that it was trained on; by default those "
            "that it was trained on.",
            show_default=False,
        ),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(help="Steps.", show_default="that of training")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write the forecast as CSV.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Write a page with its figure.", show_default=False),
    ] = None,
    paths: Annotated[
        int | None,
        typer.Option(help="Drawn by an autoregressive decoder.", show_default="200"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the paths.", show_default="0")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Forecast what comes after the end of each series.

    **Examples**

        glasscell forecast runs/cases

        glasscell forecast runs/cases new.csv --horizon 7 --csv next-week.csv --plot next-week.html
    """
    from glasscell.files import refuse_unwritable
    from glasscell.training import load
    from glasscell.training.series_run import require_series

    for path in (csv, plot):
        if path is not None:
            refuse_unwritable(path)  # before anything long is computed
    model = require_series(load(run), run)
    options = {name: v for name, v in (("paths", paths), ("seed", seed)) if v is not None}
    if options and model.model.config.decoder == "direct":
        raise UserError(
            f"{run} holds a direct decoder, which draws no paths: no "
            f"{' and no '.join(f'--{name}' for name in options)}"
        )
    panel = None if file is None else model.panel_of(file)
    if panel is not None and (new := model.new_series(panel)):
        named = ", ".join(repr(name) for name in new[:5])
        more = f" and {len(new) - 5:,} more" if len(new) > 5 else ""
        typer.echo(
            f"{named}{more}: not there in training, and scaled by what has been seen of "
            f"{'it' if len(new) == 1 else 'them'} here",
            err=True,
        )
    found = model.forecast_of(panel, horizon=horizon, **options)
    if csv is not None:
        found.write_csv(csv, LEVELS)
    if plot is not None:
        from glasscell.plots import forecast_chart
        from glasscell.plots.files import save

        save(forecast_chart(found, up=", ".join(model.columns.target)), plot)
    if as_json:
        print(found.frame(LEVELS).write_json())
    else:
        _show(found)
    for path in (csv, plot):
        if path is not None:
            typer.echo(f"{path} is written", err=as_json)


def _show(found: Forecast) -> None:
    import polars as pl

    frame = found.frame(LEVELS)
    rows = frame.head(SHOWN)
    numbers = [name for name, kind in frame.schema.items() if kind == pl.Float64]
    table = rows.with_columns(pl.col(numbers).round_sig_figs(4))
    with pl.Config(
        tbl_rows=SHOWN, tbl_cols=-1, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True,
        tbl_formatting="ASCII_MARKDOWN", tbl_width_chars=200,
    ):  # fmt: skip
        print(table)
    if frame.height > SHOWN:
        print(f"{frame.height - SHOWN:,} more rows: --csv writes them all")
