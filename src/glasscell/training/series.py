"""Training a forecaster on series, from a few words of Python or from the command line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from glasscell.errors import UserError
from glasscell.tasks.models import telling_of_memory
from glasscell.tasks.series.columns import Columns
from glasscell.tasks.series.frequency import Frequency
from glasscell.tasks.series.inputs import InputPlan
from glasscell.tasks.series.model import Forecaster, SeriesConfig
from glasscell.tasks.series.panel import Panel, panel_of
from glasscell.tasks.series.parts import Parts
from glasscell.tasks.series.table import read_table
from glasscell.training.hardware import Hardware, is_helper_process
from glasscell.training.loading import load
from glasscell.training.model_folder import (
    CHECKPOINT,
    CONFIG,
    FolderError,
    FolderWriter,
    read_config,
)
from glasscell.training.options import PATH, folder_writer, take_options
from glasscell.training.series_recipe import SeriesRecipe, worked_out
from glasscell.training.series_run import SeriesRun, series_config, write_series

LIMITS = ("epochs", "steps", "minutes")
SCALING = {"negative_binomial": "mean"}  # of an output; "standard" of the others

Names = str | Iterable[str]


def train_series(
    data: PATH | Any,
    *,
    target: Names,
    time: str | None = None,
    group: Names | None = None,
    known: Names | None = None,
    observed: Names | None = None,
    static: Names | None = None,
    horizon: int,
    every: str | None = None,
    out: PATH | None = None,
    force: bool = False,
    progress: bool = True,
    **options: Any,
) -> SeriesRun:
    """Trains a forecaster.

        run = train_series("cases.csv", time="date", target="cases", group="region", horizon=14)
        print(run.predict().frame())

    Args:
        data: a CSV file, or a frame of polars or pandas.
        target: the column to forecast; several are as many series; "*" is every column of numbers
            that is nothing else.
        time: the column of times; without it rows are one step apart.
        group: the columns that tell the series of a long file apart.
        known: columns that are known in advance, for the steps to be forecast too.
        observed: columns that are known only up to now.
        static: columns that are always the same of a series.
        horizon: steps to be forecast.
        every: the step, such as "1h", each time being taken as the one that it lies in; found from
            the times by default.
        out: the model folder to write; None keeps nothing on disk.
        force: replace the model folder `out` if there is one.
        progress: show how training goes, on standard error.
        options: the fields of `SeriesConfig` (cell, hidden, layers, dropout, output, decoder), of
            `SeriesRecipe` (epochs, steps, minutes, batch, context, learning_rate, ...) and of
            `Hardware` (accelerator, devices, strategy, precision, nodes).

    Returns:
        The model that did best on the validation part.

    Raises:
        UserError: data, folder or option that cannot be used.
        TrainingDiverged: the loss became NaN or infinite; the best model so far is in `out`.
        Interrupted: Ctrl-C; what there is is in `out`, and can be resumed.
    """
    columns = Columns.of(target, time, group=group, known=known, observed=observed, static=static)
    architecture = take_options(SeriesConfig, options, "inputs", "future", "horizon")
    recipe = SeriesRecipe(**take_options(SeriesRecipe, options))
    hardware = Hardware(**take_options(Hardware, options))
    if options:
        raise TypeError(f"train_series: unknown options {', '.join(sorted(options))}")
    SeriesConfig(1, 0, horizon, **architecture)  # a wrong option is told before reading

    if out is None:
        with TemporaryDirectory(prefix="glasscell-") as folder:
            run = train_series(
                data, target=target, time=time, group=group, known=known, observed=observed,
                static=static, horizon=horizon, every=every, out=Path(folder) / "model",
                progress=progress, **architecture, **asdict(recipe), **asdict(hardware),
            )  # fmt: skip
        run.path = None
        return run

    # Before much is read, and long before a model is trained:
    writer = folder_writer(out, force=force)
    try:
        panel = _read(data, columns, None if every is None else Frequency.read(every))
        parts = Parts.of(panel, horizon)
        kind = SCALING.get(architecture.get("output", ""), "standard")
        plan = InputPlan.fitted(panel, parts.ends(panel, "train"), kind)
        inputs = plan.names(panel)
        future = len(inputs) - 4 - 2 * panel.observed.shape[1] - panel.static.shape[1]
        config = SeriesConfig(len(inputs), future, horizon, **architecture)
        _refuse_counts(config, panel)
        recipe = worked_out(recipe, parts.ends(panel, "train"), config)
        if not is_helper_process():
            described = {
                "source": _named(data), "columns": asdict(columns), "parts": parts.as_dict(),
                "sha256": fingerprint(panel), "every": every,
            }  # fmt: skip
            writer.write(
                CONFIG, series_config(config, asdict(recipe), described, hardware.precision)
            )
            write_series(writer, plan, panel)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            with telling_of_memory():
                model = Forecaster(config)
            _fit(model, plan, panel, parts, recipe, hardware, writer, progress, checkpoint=None)
    finally:
        writer.discard()
    return load(out)


def resume_series(out: PATH, *, progress: bool = True, **options: Any) -> SeriesRun:
    """Goes on with a run where it was interrupted: the same numbers, to the last bit, that it
    would have come to without the interruption. The series are in the folder.

    Args:
        out: the model folder.
        progress: show how training goes, on standard error.
        options: `epochs`, `steps` or `minutes` to train for longer (which changes the learning
            rate from here on), and the fields of `Hardware`.

    Raises:
        FolderError: nothing to resume, or a damaged folder.
        UserError: the run has finished.
    """
    out = Path(out)
    config = read_config(out)
    if config["task"] != "series":
        raise FolderError(f"{out} holds a model for the task {config['task']!r}, not for series")
    limits = {name: options.pop(name) for name in LIMITS if options.get(name) is not None}
    if options.get("precision") is None:  # the run's own, so that it comes to the same numbers
        options["precision"] = config.get("precision")
    hardware = Hardware(**take_options(Hardware, options))
    if options := {name: value for name, value in options.items() if value is not None}:
        raise TypeError(f"resume_series: unknown options {', '.join(sorted(options))}")
    run = load(out)
    try:
        recipe = SeriesRecipe(**config["training"])
    except (KeyError, TypeError) as error:
        raise FolderError(f"{out / CONFIG} is damaged: {error}") from None
    if limits:
        recipe = replace(recipe, **{**dict.fromkeys(LIMITS), **limits})
    writer = FolderWriter.reopen(out)
    if limits:
        writer.write(CONFIG, {**config, "training": asdict(recipe)})
    with torch.random.fork_rng(devices=[]):
        _fit(
            run.model, run.plan, run.panel, run.parts, recipe, hardware, writer, progress,
            checkpoint=out / CHECKPOINT, extended=bool(limits),
        )  # fmt: skip
    return load(out)


def fingerprint(panel: Panel) -> str:
    """What tells one panel from another."""
    digest = hashlib.sha256()
    for array in (panel.target, panel.known, panel.observed, panel.static, panel.offsets):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read(data: Any, columns: Columns, frequency: Frequency | None) -> Panel:
    table = read_table(data, columns)
    return panel_of(table, frequency=frequency, rounded=frequency is not None)


def _named(data: Any) -> str | None:
    return str(Path(data).absolute()) if isinstance(data, str | os.PathLike) else None


def _refuse_counts(config: SeriesConfig, panel: Panel) -> None:
    from glasscell.tasks.series.distributions import output_of

    values = panel.target[~(panel.target != panel.target)]
    if output_of(config.output).counts and ((values < 0) | (values != values.round())).any():
        raise UserError(
            f"output: {config.output} is of whole numbers from 0, and the target has others; use "
            "quantiles, normal or student"
        )


def _fit(*args: Any, **kwargs: Any) -> None:
    is_helper_process()  # Lightning reads the same ranks as it is imported, with no kind words
    # Brings Lightning in, seconds that only training needs.
    from glasscell.training.series_fit import fit_series

    with telling_of_memory():
        fit_series(*args, **kwargs)
