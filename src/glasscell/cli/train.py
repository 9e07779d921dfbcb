"""`glasscell train`: one command a task."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

train = typer.Typer(
    name="train", help="Train a model.", no_args_is_help=False, rich_markup_mode="markdown"
)


class Level(StrEnum):
    char = "char"
    byte = "byte"
    word = "word"


class Cell(StrEnum):
    lstm = "lstm"
    gru = "gru"
    rnn = "rnn"


def _option(help: str, *names: str, default: str = "", panel: str | None = None) -> Any:
    told = f"{help} [default: {default}]" if default else help
    return typer.Option(*names, help=told, show_default=False, rich_help_panel=panel)


# The defaults are those of `LanguageModelConfig`, `Recipe` and `Hardware`; here they are only told.
MODEL, LENGTH, LEARNING, MACHINE = "Model", "How long", "Learning", "Machine"


@train.command("text")
def text(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="UTF-8 text files, read one after the other; - is standard input, "
            "as is no file at all when something is piped in.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        _option("The model folder to write.", "--out", "-o", default="runs/<name of the text>"),
    ] = None,
    level: Annotated[Level | None, _option("What a token is.", default="char", panel=MODEL)] = None,
    cell: Annotated[
        Cell | None, _option("The recurrent cell.", default="lstm", panel=MODEL)
    ] = None,
    hidden: Annotated[int | None, _option("Units a layer.", default="256", panel=MODEL)] = None,
    layers: Annotated[int | None, _option("Stacked layers.", default="1", panel=MODEL)] = None,
    embedding: Annotated[
        int | None,
        _option("Size of a token's embedding.", default="64; 256 for words", panel=MODEL),
    ] = None,
    dropout: Annotated[
        float | None, _option("Fraction dropped while training.", default="0.0", panel=MODEL)
    ] = None,
    tied: Annotated[
        bool | None,
        _option(
            "Share the embedding's weights with the output.",
            "--tied/--untied",
            default="untied",
            panel=MODEL,
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        _option(
            "Passes over the text.",
            default="10, unless --steps or --minutes is given",
            panel=LENGTH,
        ),
    ] = None,
    steps: Annotated[int | None, _option("Updates of the weights.", panel=LENGTH)] = None,
    minutes: Annotated[
        float | None, _option("Minutes; the schedule ends just there.", panel=LENGTH)
    ] = None,
    patience: Annotated[
        int | None,
        _option(
            "Stop after so many validations without a better one; 0 never.",
            default="5",
            panel=LENGTH,
        ),
    ] = None,
    validate_every: Annotated[
        int | None,
        _option(
            "Steps between validations.", default="one epoch, at most 1000 steps", panel=LENGTH
        ),
    ] = None,
    batch: Annotated[
        int | None, _option("Streams of text read side by side.", default="16", panel=LEARNING)
    ] = None,
    chunk: Annotated[
        int | None, _option("Steps that a gradient reaches back.", default="64", panel=LEARNING)
    ] = None,
    learning_rate: Annotated[
        float | None,
        _option(
            "The highest learning rate.",
            "--learning-rate",
            "--lr",
            default="0.01, rnn 0.004; above 256 units in inverse proportion",
            panel=LEARNING,
        ),
    ] = None,
    warmup: Annotated[
        int | None,
        _option("Steps over which the learning rate rises.", default="50", panel=LEARNING),
    ] = None,
    weight_decay: Annotated[
        float | None, _option("Of AdamW.", default="0.01", panel=LEARNING)
    ] = None,
    clip: Annotated[
        float | None,
        _option("The longest gradient allowed; 0 allows any.", default="1.0", panel=LEARNING),
    ] = None,
    seed: Annotated[
        int | None, _option("Of the first weights and of dropout.", default="0", panel=LEARNING)
    ] = None,
    accelerator: Annotated[
        str | None, _option("auto, cpu, gpu, mps, ...", default="auto", panel=MACHINE)
    ] = None,
    devices: Annotated[
        str | None, _option("How many, or which (0,2).", default="1", panel=MACHINE)
    ] = None,
    strategy: Annotated[
        str | None,
        _option("How devices work together: auto, ddp, fsdp, ...", default="auto", panel=MACHINE),
    ] = None,
    precision: Annotated[
        str | None,
        _option("32-true, bf16-mixed, 16-mixed, 64-true, ...", default="32-true", panel=MACHINE),
    ] = None,
    nodes: Annotated[int | None, _option("Machines.", default="1", panel=MACHINE)] = None,
    resume: Annotated[
        bool, _option("Go on with the run in --out where it was interrupted.", "--resume")
    ] = False,
    force: Annotated[bool, _option("Replace the model in --out.", "--force")] = False,
    quiet: Annotated[bool, _option("Show no progress.", "--quiet", "-q")] = False,
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
        "cell": cell and cell.value,
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
            level=level.value if level else "char",
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
    with _telling_interruption(out):
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

    with _telling_interruption(out):
        run = resume_text(out, files or (), progress=not quiet, **options)
    _tell_result(run)


class _telling_interruption:
    """Tells what an interrupted run has left, and ends with the code that shells expect."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from glasscell.training.interrupted import Interrupted

        if isinstance(error, Interrupted):
            from glasscell.training.hardware import is_helper_process

            if not is_helper_process():
                how = f"; go on with: glasscell train text --out {self.out} --resume"
                print(f"glasscell: {error}{how if error.resumable else ''}", file=sys.stderr)
            raise typer.Exit(128 + error.signal) from None


def _tell_result(run: Any) -> None:
    from glasscell.training.hardware import is_helper_process

    if is_helper_process():
        return
    best = run.metrics["validation"]
    figure = f"{best['bits_per_character']:.3f} bits per character"
    if run.vocabulary.level == "word":
        figure += f" (perplexity {best['perplexity']:,.1f})"
    print(
        f"{run.path}: {figure} on the validation text, at step {run.metrics['best_step']:,} of "
        f"{run.metrics['step']:,}, in {run.metrics['seconds']:,.0f} s"
    )
    print(f"Let it write:  glasscell generate {run.path}")
    print(f"Look inside:   glasscell inspect {run.path} --report report.html")
