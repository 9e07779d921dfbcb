"""`glasscell train classic`: a task whose sequences are drawn as it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glasscell.cli import train_options as opt
from glasscell.cli.interruption import telling_interruption
from glasscell.cli.resuming import as_options, place_to_resume

if TYPE_CHECKING:
    from glasscell.training import ClassicRun

_option = opt._option
NAMES = "reber, copy, anbn, anbncn, parity, dyck2, adding, temporal_order, turnstile"

Name = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help=f"The task: {NAMES}.", show_default=False),
]
Out = Annotated[
    Path | None, _option("The model folder to write.", "--out", "-o", default="runs/NAME")
]
Length = Annotated[
    int | None,
    _option(
        "Steps of the longest sequence; for copy, steps to wait.",
        "--T",
        default="the task's own: 100, 40 or less",
        panel=opt.MODEL,
    ),
]
Hidden = Annotated[int | None, _option("Units a layer.", default="32", panel=opt.MODEL)]
Layers = Annotated[int | None, _option("Stacked layers.", default="1", panel=opt.MODEL)]
ForgetBias = Annotated[
    float | None,
    _option(
        "What the bias of the gate that keeps the state begins with.",
        default="1, if there is a forget gate",
        panel=opt.MODEL,
    ),
]
Chrono = Annotated[
    float | None,
    _option("Begin with memories of all lengths up to so many steps.", panel=opt.MODEL),
]
Steps = Annotated[
    int | None,
    _option("Updates of the weights.", default="4000, unless --minutes is given", panel=opt.LENGTH),
]
Minutes = Annotated[float | None, _option("The most minutes.", panel=opt.LENGTH)]
Target = Annotated[float | None, _option("Stop at this score.", panel=opt.LENGTH)]
Batch = Annotated[int | None, _option("Sequences an update.", default="32", panel=opt.LEARNING)]
LearningRate = Annotated[
    float | None,
    _option("Adam's.", "--learning-rate", "--lr", default="0.005", panel=opt.LEARNING),
]
Seed = Annotated[int | None, _option("Of weights and sequences.", default="0", panel=opt.LEARNING)]


def train_classic(
    name: Name = None,
    out: Out = None,
    T: Length = None,
    cell: opt.Cell = None,
    hidden: Hidden = None,
    layers: Layers = None,
    forget_bias: ForgetBias = None,
    chrono: Chrono = None,
    steps: Steps = None,
    minutes: Minutes = None,
    target: Target = None,
    batch: Batch = None,
    learning_rate: LearningRate = None,
    clip: opt.Clip = None,
    seed: Seed = None,
    resume: opt.Resume = False,
    force: opt.Force = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train a model on a classic task, whose chance level and optimum are known.

    **Examples**

        glasscell train classic reber

        glasscell train classic copy --T 30 --cell gru --minutes 2 --out runs/copy-gru

        glasscell train classic adding --T 100 --chrono 100 --steps 10000

        glasscell train classic --out runs/copy-gru --resume --minutes 4
    """
    choices = {
        "T": T,
        "cell": cell,
        "hidden": hidden,
        "layers": layers,
        "forget_bias": forget_bias,
        "chrono": chrono,
        "target": target,
        "batch": batch,
        "learning_rate": learning_rate,
        "clip": clip,
        "seed": seed,
    }
    if resume:
        given = [*([] if name is None else [name]), *as_options(choices)]
        place = place_to_resume(out, given, force=force)
    elif name is None:
        raise typer.BadParameter(f"name a task: {NAMES}")
    else:
        place = out or Path("runs") / name
    from glasscell.training import resume_classic
    from glasscell.training import train_classic as train

    with telling_interruption(f"glasscell train classic --out {place} --resume"):
        if resume:
            run = resume_classic(place, steps=steps, minutes=minutes, progress=not quiet)
        else:
            run = train(
                str(name),
                out=place,
                steps=steps,
                minutes=minutes,
                force=force,
                progress=not quiet,
                **choices,
            )
    _tell_result(run)


def _tell_result(run: ClassicRun) -> None:
    from glasscell.training.classic_run import figure, levels, told_details

    metrics, task = run.metrics, run.task
    print(
        f"{run.path}: {figure(task, metrics['score'])} {task.measure} ({levels(task)}), at step "
        f"{metrics['best_step']:,} of {metrics['step']:,}, in {metrics['seconds']:,.0f} s"
    )
    if metrics["details"]:
        print(f"Of these:      {told_details(metrics['details'])}")
    print(f"On new ones:   glasscell evaluate {run.path}")
    print(f"Longer ones:   glasscell evaluate {run.path} --T {2 * task.T}")
