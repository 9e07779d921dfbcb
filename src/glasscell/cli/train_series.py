"""`glasscell train series`: a forecaster of the columns of a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glasscell.cli import train_options as opt
from glasscell.cli.interruption import telling_interruption
from glasscell.cli.resuming import as_options, place_to_resume

if TYPE_CHECKING:
    from glasscell.training import SeriesRun

_option = opt._option
DATA = "Data"

File = Annotated[
    str | None,
    typer.Argument(metavar="FILE", help="A CSV file with a head line.", show_default=False),
]
Target = Annotated[
    str | None,
    _option(
        "The column to forecast; several, a,b, are as many series; * is every column of numbers.",
        "--target",
        metavar="COLUMN",
        panel=DATA,
    ),
]
Time = Annotated[str | None, _option("The column of times.", metavar="COLUMN", panel=DATA)]
Group = Annotated[
    str | None,
    _option("The columns that tell the series of a long file apart.", metavar="COLUMN,...",
            panel=DATA),
]  # fmt: skip
Known = Annotated[
    str | None,
    _option("Columns known in advance, for the steps to be forecast too.", metavar="COLUMN,...",
            panel=DATA),
]  # fmt: skip
Observed = Annotated[
    str | None,
    _option("Columns that are known only up to now.", metavar="COLUMN,...", panel=DATA),
]
Static = Annotated[
    str | None,
    _option("Columns that are always the same of a series.", metavar="COLUMN,...", panel=DATA),
]
Horizon = Annotated[int | None, _option("Steps to forecast.", panel=DATA)]
Every = Annotated[
    str | None,
    _option("One step: 15m, 1h, 1d, 1w, 1mo.", default="found from the times", panel=DATA),
]
Hidden = Annotated[int | None, _option("Units a layer.", default="64", panel=opt.MODEL)]
Output = Annotated[
    str | None,
    _option(
        "What is said of a value: quantiles, normal, student or negative_binomial (counts).",
        default="quantiles",
        panel=opt.MODEL,
    ),
]
Decoder = Annotated[
    str | None,
    _option(
        "direct: all steps at once; autoregressive: one after the other, along drawn paths.",
        default="direct",
        panel=opt.MODEL,
    ),
]
Epochs = Annotated[
    float | None,
    _option("Passes over the series.", default="10, and at least 1500 updates",
            panel=opt.LENGTH),
]  # fmt: skip
Batch = Annotated[
    int | None, _option("Stretches read side by side.", default="32", panel=opt.LEARNING)
]
Context = Annotated[
    int | None,
    _option("Steps of a stretch.", default="all, at most 500", panel=opt.LEARNING),
]
LearningRate = Annotated[
    float | None,
    _option(
        "The highest learning rate.",
        "--learning-rate",
        "--lr",
        default="0.005, rnn 0.002; above 256 units in inverse proportion",
        panel=opt.LEARNING,
    ),
]


def train_series(
    file: File = None,
    out: opt.Out = None,
    target: Target = None,
    time: Time = None,
    group: Group = None,
    known: Known = None,
    observed: Observed = None,
    static: Static = None,
    horizon: Horizon = None,
    every: Every = None,
    cell: opt.Cell = None,
    hidden: Hidden = None,
    layers: opt.Layers = None,
    dropout: opt.Dropout = None,
    output: Output = None,
    decoder: Decoder = None,
    epochs: Epochs = None,
    steps: opt.Steps = None,
    minutes: opt.Minutes = None,
    patience: opt.Patience = None,
    validate_every: opt.ValidateEvery = None,
    batch: Batch = None,
    context: Context = None,
    learning_rate: LearningRate = None,
    warmup: opt.Warmup = None,
    weight_decay: opt.WeightDecay = None,
    clip: opt.Clip = None,
    seed: opt.Seed = None,
    accelerator: opt.Accelerator = None,
    devices: opt.Devices = None,
    strategy: opt.Strategy = None,
    precision: opt.Precision = None,
    nodes: opt.Nodes = None,
    resume: opt.Resume = False,
    force: opt.Force = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train a forecaster on time series.

    **Examples**

        glasscell train series cases.csv --time date --target cases --group region --horizon 14

        glasscell train series load.csv --time hour --target demand --known holiday,temperature
        --horizon 24 --out runs/load

        glasscell train series --out runs/load --resume
    """
    data = {
        "target": target, "time": time, "group": group, "known": known, "observed": observed,
        "static": static, "horizon": horizon, "every": every,
    }  # fmt: skip
    choices = {
        "cell": cell, "hidden": hidden, "layers": layers, "dropout": dropout, "output": output,
        "decoder": decoder, "patience": patience, "validate_every": validate_every,
        "batch": batch, "context": context, "learning_rate": learning_rate, "warmup": warmup,
        "weight_decay": weight_decay, "clip": clip, "seed": seed,
    }  # fmt: skip
    lengths = {"epochs": epochs, "steps": steps, "minutes": minutes}
    machine = opt.machine_of(accelerator, devices, strategy, precision, nodes)
    if resume:
        given = [*([] if file is None else [file]), *as_options({**data, **choices})]
        place = place_to_resume(
            out, given, force=force, changes="how long to train and on which machine"
        )
    else:
        for name, value in (("FILE", file), ("--target", target), ("--horizon", horizon)):
            if value is None:
                raise typer.BadParameter(f"{name} is missing: see glasscell train series --help")
        place = out or Path("runs") / Path(str(file)).stem
    from glasscell.training import resume_series
    from glasscell.training import train_series as train

    with telling_interruption(f"glasscell train series --out {place} --resume"):
        if resume:
            run = resume_series(place, progress=not quiet, **lengths, **machine)
        else:
            run = train(
                file, out=place, force=force, progress=not quiet,
                **data, **choices, **lengths, **machine,  # type: ignore[arg-type]
            )  # fmt: skip
    _tell(run, place)


def _tell(run: SeriesRun, place: Path) -> None:
    from glasscell.training.hardware import is_helper_process

    if is_helper_process():
        return
    panel, report = run.panel, run.panel.report
    series = "1 series" if len(panel) == 1 else f"{len(panel):,} series"
    print(f"{series} of {int(panel.lengths.sum()):,} steps, one every {panel.frequency}")
    notes = {
        f"{report.inserted:,} steps had no row": report.inserted,
        f"{report.missing:,} rows had no target": report.missing,
    }
    if found := [note for note, count in notes.items() if count]:
        print(f"{' and '.join(found)}: read as missing, and marked as such")
    if report.sorted_here:
        print("rows were out of order, and have been sorted")
    if report.constant:
        named = ", ".join(repr(name) for name in report.constant[:5] if name)
        print(f"{len(report.constant):,} series never change{': ' if named else ''}{named}")
    print(f"{place} holds the model of step {run.metrics['best_step']:,}")
    print(f"next: glasscell forecast {place}")
