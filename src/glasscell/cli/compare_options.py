"""The options that all of `glasscell compare` take, each named once, as its help tells it.

The defaults are those of `glasscell.compare`; here they are only told.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

DATA, FAIRNESS, FOLDER = "Data", "What is trained", "Where, and how"


def _option(
    help: str, *names: str, default: str = "", panel: str | None = None, **more: Any
) -> Any:
    told = f"{help} [default: {default}]" if default else help
    return typer.Option(*names, help=told, show_default=False, rich_help_panel=panel, **more)


@dataclass(frozen=True)
class SharedOptions:
    """What was given of the options that the command of each task takes."""

    cells: Annotated[
        str | None,
        _option(
            "Names, lines or names with options (lstm+zoneout=0.1), separated by commas; lstm is "
            "always among them.",
            "--cells",
            default="lstm,peephole,coupled,no_forget_gate,gru,rnn",
            metavar="NAME,...",
            panel=FAIRNESS,
        ),
    ] = None
    seeds: Annotated[
        int | None, _option("Trainings of each cell.", "--seeds", default="5", panel=FAIRNESS)
    ] = None
    budget: Annotated[
        str | None,
        _option(
            "Time for everything: 90s, 10m, 1h30m. Each training gets the same processor time.",
            "--budget",
            default="10m",
            metavar="TIME",
            panel=FAIRNESS,
        ),
    ] = None
    steps: Annotated[
        int | None,
        _option(
            "In place of a budget: exactly so many updates each, however long they take.",
            "--steps",
            panel=FAIRNESS,
        ),
    ] = None
    hidden: Annotated[
        int | None,
        _option(
            "Units of the plain LSTM; the others get as many parameters.",
            "--hidden",
            default="64",
            panel=FAIRNESS,
        ),
    ] = None
    tune: Annotated[
        bool,
        _option(
            "Let Optuna choose learning rate, dropout and sizes for each cell, in half of the "
            "budget.",
            "--tune",
            panel=FAIRNESS,
        ),
    ] = False
    margin: Annotated[
        float | None,
        _option(
            "The largest difference of scores that does not matter.",
            "--margin",
            default="0.02 bits, 0.01 of the scaled error, 2 % of the way from chance",
            panel=FAIRNESS,
        ),
    ] = None
    jobs: Annotated[
        int | None,
        _option(
            "Trainings at once.", "--jobs", "-j", default="as many as processors", panel=FOLDER
        ),
    ] = None
    out: Annotated[
        Path | None,
        _option(
            "The folder to write.",
            "--out",
            "-o",
            default="runs/compare-NAME, after the data",
            panel=FOLDER,
        ),
    ] = None
    resume: Annotated[
        bool,
        _option(
            "Go on with the comparison in --out, with more cells or seeds if given.",
            "--resume",
            panel=FOLDER,
        ),
    ] = False
    force: Annotated[bool, _option("Replace the comparison in --out.", "--force", panel=FOLDER)] = (
        False
    )
    as_json: Annotated[bool, _option("Print everything as JSON.", "--json", panel=FOLDER)] = False
    quiet: Annotated[bool, _option("Show no progress.", "--quiet", "-q", panel=FOLDER)] = False

    def of_comparison(self) -> dict[str, Any]:
        """Those that `glasscell.compare` takes by these names."""
        cli_only = ("as_json", "quiet", "out")
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        given["tune"] = self.tune or None  # left out, a resumed comparison stays as it was
        return {name: value for name, value in given.items() if name not in cli_only}


def with_shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes, after its own options, those of `SharedOptions` too.

    Args:
        command: whose parameter `shared` is given them in one.
    """
    hints = get_type_hints(command, include_extras=True)
    shared_hints = get_type_hints(SharedOptions, include_extras=True)
    own = [
        each.replace(annotation=hints[name])
        for name, each in signature(command).parameters.items()
        if name != "shared"
    ]
    shared = [
        Parameter(
            each.name,
            Parameter.POSITIONAL_OR_KEYWORD,
            default=each.default,
            annotation=shared_hints[each.name],
        )
        for each in fields(SharedOptions)
    ]

    @wraps(command)
    def with_all(**given: Any) -> None:
        options = SharedOptions(**{each.name: given.pop(each.name) for each in shared})
        command(**given, shared=options)

    parameters = [*own, *shared]
    # Typer reads both, as if the function had been written with all of them.
    with_all.__signature__ = signature(command).replace(  # pyright: ignore[reportAttributeAccessIssue]
        parameters=parameters
    )
    with_all.__annotations__ = {each.name: each.annotation for each in parameters}
    with_all.__annotations__["return"] = None
    return with_all
