"""`glasscell train`: one command a task."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glasscell.cli import train_options as opt
from glasscell.cli.interruption import telling_interruption

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
    machine = {
        "accelerator": accelerator,
        "devices": int(devices) if devices and devices.lstrip("-").isdigit() else devices,
        "strategy": strategy,
        "precision": precision,
        "nodes": nodes,
    }
    if resume:
        given = [name for name, value in {"level": level, **choices}.items() if value is not None]
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
    if out is None:
        raise typer.BadParameter("say which run to resume with --out")
    if force:
        raise typer.BadParameter("--resume goes on with a run and --force replaces it: choose one")
    if given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        raise typer.BadParameter(
            f"a resumed run keeps its own choices, so {names} cannot be given; only how long to "
            "train and on which machine can change"
        )
    from glasscell.training import resume_text

    with telling_interruption(f"glasscell train text --out {out} --resume"):
        run = resume_text(out, files or (), progress=not quiet, **options)
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
