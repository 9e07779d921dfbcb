"""`glasscell train`: one command a task."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glasscell.cli import train_options as opt
from glasscell.cli.interruption import telling_interruption
from glasscell.cli.resuming import as_options, place_to_resume

if TYPE_CHECKING:
    from glasscell.training import LanguageRun

train = typer.Typer(
    name="train", help="Train a model.", no_args_is_help=False, rich_markup_mode="markdown"
)


@train.command("text")
def text(
    files: opt.Files = None,
    out: opt.Out = None,
    level: opt.Level = None,
    cell: opt.Cell = None,
    hidden: opt.Hidden = None,
    layers: opt.Layers = None,
    embedding: opt.Embedding = None,
    dropout: opt.Dropout = None,
    tied: opt.Tied = None,
    epochs: opt.Epochs = None,
    steps: opt.Steps = None,
    minutes: opt.Minutes = None,
    patience: opt.Patience = None,
    validate_every: opt.ValidateEvery = None,
    batch: opt.Batch = None,
    chunk: opt.Chunk = None,
    learning_rate: opt.LearningRate = None,
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
    """Train a language model on text.

    With no option it trains a character LSTM that suits a text of a megabyte or so.

    **Examples**

        glasscell train text book.txt --out runs/book

        glasscell train text a.txt b.txt --level word --hidden 512 --layers 2 --dropout 0.3

        cat *.md | glasscell train text --out runs/notes --minutes 10

        glasscell train text --out runs/book --resume
    """
    choices = {
        "cell": cell,
        "hidden": hidden,
        "layers": layers,
        "embedding": embedding,
        "dropout": dropout,
        "tied": tied,
        "patience": patience,
        "validate_every": validate_every,
        "batch": batch,
        "chunk": chunk,
        "learning_rate": learning_rate,
        "warmup": warmup,
        "weight_decay": weight_decay,
        "clip": clip,
        "seed": seed,
    }
    lengths = {"epochs": epochs, "steps": steps, "minutes": minutes}
    machine = opt.machine_of(accelerator, devices, strategy, precision, nodes)
    if resume:
        given = as_options({"level": level, **choices})
        _resume(files, out, given, force=force, quiet=quiet, options={**lengths, **machine})
    else:
        names = _files(files)
        if "-" in names and machine["devices"] not in (None, 1):
            raise typer.BadParameter(
                "several devices cannot share standard input; save the text to a file"
            )
        _train(
            names,
            out or Path("runs") / ("text" if names[0] == "-" else Path(names[0]).stem),
            level=level or "char",
            force=force,
            quiet=quiet,
            options={**choices, **lengths, **machine},
        )


def _files(files: list[str] | None) -> list[str]:
    if files:
        return files
    if sys.stdin is not None and not sys.stdin.isatty():
        return ["-"]
    raise typer.BadParameter(
        "there is no text to train on: name a file, or pipe one in (or see glasscell demo)"
    )


def _train(
    names: list[str], out: Path, *, level: str, force: bool, quiet: bool, options: dict
) -> None:
    from glasscell.training import train_text

    given = {name: value for name, value in options.items() if value is not None}
    with telling_interruption(f"glasscell train text --out {out} --resume"):
        run = train_text(names, out=out, level=level, force=force, progress=not quiet, **given)
    _tell_result(run)


def _resume(
    files: list[str] | None,
    out: Path | None,
    given: list[str],
    *,
    force: bool,
    quiet: bool,
    options: dict,
) -> None:
    place = place_to_resume(
        out, given, force=force, changes="how long to train and on which machine"
    )
    from glasscell.training import resume_text

    with telling_interruption(f"glasscell train text --out {place} --resume"):
        run = resume_text(place, files or (), progress=not quiet, **options)
    _tell_result(run)


def _tell_result(run: LanguageRun) -> None:
    from glasscell.training.hardware import is_helper_process

    if is_helper_process():
        return
    best = run.metrics["validation"]
    figure = f"{best['bits_per_character']:.3f} bits per character"
    if run.vocabulary.knows_words:
        figure += f" (perplexity {best['perplexity']:,.1f})"
    print(
        f"{run.path}: {figure} on the validation text, at step {run.metrics['best_step']:,} of "
        f"{run.metrics['step']:,}, in {run.metrics['seconds']:,.0f} s"
    )
    print(f"Let it write:  glasscell generate {run.path}")
    print(f"Look inside:   glasscell inspect {run.path} --report report.html")
