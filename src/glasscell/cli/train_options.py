"""The options of `glasscell train text`, as they are told in its help.

The defaults are those of `LanguageModelConfig`, `LanguageRecipe` and `Hardware`; here they are
only told.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

MODEL, LENGTH, LEARNING, MACHINE = "Model", "How long", "Learning", "Machine"


def _option(
    help: str, *names: str, default: str = "", panel: str | None = None, **more: Any
) -> Any:
    told = f"{help} [default: {default}]" if default else help
    return typer.Option(*names, help=told, show_default=False, rich_help_panel=panel, **more)


def _known_level(level: str | None) -> str | None:
    if level is not None:
        from glasscell.tasks.language.levels import LEVELS  # brings torch in: not for --help

        if level not in LEVELS:
            raise typer.BadParameter(f"expected one of {', '.join(LEVELS)}, got {level!r}")
    return level


Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE",
        help="UTF-8 text files, read one after the other; - is standard input, "
        "as is no file at all when something is piped in.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    _option("The model folder to write.", "--out", "-o", default="runs/NAME, after the text"),
]
Level = Annotated[
    str | None,
    _option(
        "What a token is: char, byte or word.",
        "--level",
        default="char",
        panel=MODEL,
        callback=_known_level,
    ),
]
Cell = Annotated[
    str | None,
    _option(
        "The recurrent layer: lstm, peephole, gru, rnn, ...; a line, lstm(forget_gate=None); or "
        "one with options, lstm+zoneout=0.1.",
        default="lstm",
        panel=MODEL,
    ),
]
Hidden = Annotated[int | None, _option("Units a layer.", default="256", panel=MODEL)]
Layers = Annotated[int | None, _option("Stacked layers.", default="1", panel=MODEL)]
Embedding = Annotated[
    int | None,
    _option("Size of a token's embedding.", default="64; 256 for words", panel=MODEL),
]
Dropout = Annotated[
    float | None, _option("Fraction dropped while training.", default="0.0", panel=MODEL)
]
Tied = Annotated[
    bool | None,
    _option(
        "Share the embedding's weights with the output.",
        "--tied/--untied",
        default="untied",
        panel=MODEL,
    ),
]
Epochs = Annotated[
    float | None,
    _option(
        "Passes over the text.",
        default="10, unless --steps or --minutes is given",
        panel=LENGTH,
    ),
]
Steps = Annotated[int | None, _option("Updates of the weights.", panel=LENGTH)]
Minutes = Annotated[float | None, _option("Minutes; the schedule ends just there.", panel=LENGTH)]
Patience = Annotated[
    int | None,
    _option(
        "Stop after so many validations without a better one; 0 never.",
        default="5",
        panel=LENGTH,
    ),
]
ValidateEvery = Annotated[
    int | None,
    _option("Steps between validations.", default="one epoch, at most 1000 steps", panel=LENGTH),
]
Batch = Annotated[
    int | None, _option("Streams of text read side by side.", default="16", panel=LEARNING)
]
Chunk = Annotated[
    int | None, _option("Steps that a gradient reaches back.", default="64", panel=LEARNING)
]
LearningRate = Annotated[
    float | None,
    _option(
        "The highest learning rate.",
        "--learning-rate",
        "--lr",
        default="0.01, rnn 0.004; above 256 units in inverse proportion",
        panel=LEARNING,
    ),
]
Warmup = Annotated[
    int | None,
    _option("Steps over which the learning rate rises.", default="50", panel=LEARNING),
]
WeightDecay = Annotated[float | None, _option("Of AdamW.", default="0.01", panel=LEARNING)]
Clip = Annotated[
    float | None,
    _option("The longest gradient allowed; 0 allows any.", default="1.0", panel=LEARNING),
]
Seed = Annotated[
    int | None, _option("Of the first weights and of dropout.", default="0", panel=LEARNING)
]
Accelerator = Annotated[
    str | None, _option("auto, cpu, gpu, mps, ...", default="auto", panel=MACHINE)
]
Devices = Annotated[str | None, _option("How many, or which (0,2).", default="1", panel=MACHINE)]
Strategy = Annotated[
    str | None,
    _option("How devices work together: auto, ddp, fsdp, ...", default="auto", panel=MACHINE),
]
Precision = Annotated[
    str | None,
    _option("32-true, bf16-mixed, 16-mixed, 64-true, ...", default="32-true", panel=MACHINE),
]
Nodes = Annotated[int | None, _option("Machines.", default="1", panel=MACHINE)]
Resume = Annotated[
    bool, _option("Go on with the run in --out where it was interrupted.", "--resume")
]
Force = Annotated[bool, _option("Replace the model in --out.", "--force")]
Quiet = Annotated[bool, _option("Show no progress.", "--quiet", "-q")]


def machine_of(
    accelerator: str | None,
    devices: str | None,
    strategy: str | None,
    precision: str | None,
    nodes: int | None,
) -> dict[str, Any]:
    """The fields of `Hardware` that were given."""
    return {
        "accelerator": accelerator,
        "devices": int(devices) if devices and devices.lstrip("-").isdigit() else devices,
        "strategy": strategy,
        "precision": precision,
        "nodes": nodes,
    }
