"""The options that all of `glasscell compare` take, as they are told in its help.

The defaults are those of `glasscell.compare`; here they are only told.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

DATA, FAIRNESS, FOLDER = "Data", "What is trained", "Where, and how"


def _option(
    help: str, *names: str, default: str = "", panel: str | None = None, **more: Any
) -> Any:
    told = f"{help} [default: {default}]" if default else help
    return typer.Option(*names, help=told, show_default=False, rich_help_panel=panel, **more)


Cells = Annotated[
    str | None,
    _option(
        "Names, lines or names with options (lstm+zoneout=0.1), separated by commas; lstm is "
        "always among them.",
        "--cells",
        default="lstm,peephole,coupled,no_forget_gate,gru,rnn",
        metavar="NAME,...",
        panel=FAIRNESS,
    ),
]
Seeds = Annotated[
    int | None, _option("Trainings of each cell.", "--seeds", default="5", panel=FAIRNESS)
]
Budget = Annotated[
    str | None,
    _option(
        "Time for everything: 90s, 10m, 1h30m. Each training gets the same processor time.",
        "--budget",
        default="10m",
        metavar="TIME",
        panel=FAIRNESS,
    ),
]
Steps = Annotated[
    int | None,
    _option(
        "In place of a budget: exactly so many updates each, however long they take.",
        "--steps",
        panel=FAIRNESS,
    ),
]
Hidden = Annotated[
    int | None,
    _option(
        "Units of the plain LSTM; the others get as many parameters.",
        "--hidden",
        default="64",
        panel=FAIRNESS,
    ),
]
Tune = Annotated[
    bool,
    _option(
        "Let Optuna choose learning rate, dropout and sizes for each cell, in half of the budget.",
        "--tune",
        panel=FAIRNESS,
    ),
]
Margin = Annotated[
    float | None,
    _option(
        "The largest difference of scores that does not matter.",
        "--margin",
        default="0.02 bits, 0.01 of the scaled error, 2 % of the way from chance",
        panel=FAIRNESS,
    ),
]
Jobs = Annotated[
    int | None,
    _option("Trainings at once.", "--jobs", "-j", default="as many as processors", panel=FOLDER),
]
Out = Annotated[
    Path | None,
    _option(
        "The folder to write.",
        "--out",
        "-o",
        default="runs/compare-NAME, after the data",
        panel=FOLDER,
    ),
]
Resume = Annotated[
    bool,
    _option(
        "Go on with the comparison in --out, with more cells or seeds if given.",
        "--resume",
        panel=FOLDER,
    ),
]
Force = Annotated[bool, _option("Replace the comparison in --out.", "--force", panel=FOLDER)]
AsJson = Annotated[bool, _option("Print everything as JSON.", "--json", panel=FOLDER)]
Quiet = Annotated[bool, _option("Show no progress.", "--quiet", "-q", panel=FOLDER)]
