"""The commands, one line each."""

from __future__ import annotations

from typing import Annotated

import typer

from glasscell.cli.bench import bench
from glasscell.cli.compare import compare
from glasscell.cli.demo import demo
from glasscell.cli.evaluate import evaluate
from glasscell.cli.explain import explain
from glasscell.cli.forecast import forecast
from glasscell.cli.generate import generate
from glasscell.cli.inspect import inspect
from glasscell.cli.train import train
from glasscell.cli.train_classic import train_classic
from glasscell.cli.train_series import train_series
from glasscell.version import __version__

app = typer.Typer(
    name="glasscell",
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"glasscell {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """LSTMs you can see into, at kernel speed.

    Begin with `glasscell demo`, or with a text of your own:

        glasscell train text book.txt --out runs/book

        glasscell generate runs/book --prompt "Once upon a time"

        glasscell inspect runs/book --text "Once upon a time"
    """
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


# In the order in which a newcomer meets them.
app.command()(demo)
train.command("series")(train_series)
train.command("classic")(train_classic)
app.add_typer(train, name="train")
app.command()(evaluate)
app.command()(generate)
app.command()(forecast)
app.command()(inspect)
app.command()(explain)
app.add_typer(compare, name="compare")
app.command()(bench)
