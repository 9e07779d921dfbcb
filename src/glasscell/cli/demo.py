"""`glasscell demo`: train on real text for about a minute, and look inside what came of it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from glasscell.cli.reading import Reading
    from glasscell.training import LanguageRun

OUT = Path("glasscell-demo")
STEPS = 3500  # about a minute's work for two cores that have nothing else to do
READ = 1500  # characters of held-out text that the report is about
SAMPLE = 400  # characters that the model writes


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The model folder to write.")] = OUT,
    steps: Annotated[int, typer.Option(help="Updates of the weights.")] = STEPS,
    minutes: Annotated[float, typer.Option(help="The longest it may take to train.")] = 3.0,
    seed: Annotated[int, typer.Option(help="Of the first weights and of the sample.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace the model in --out.")] = False,
) -> None:
    """Train a character LSTM on real text for about a minute, and see what its gates do.

    The text is the English of Python's own help, so nothing is downloaded. The model, and a
    report to open in a browser, are written to --out.

    **Examples**

        glasscell demo

        glasscell demo --steps 20000 --minutes 10 --out runs/longer
    """
    from rich.console import Console

    from glasscell.cli.reading import read, write_report
    from glasscell.tasks.language import default_corpus
    from glasscell.training import train_text

    console = Console(highlight=False, soft_wrap=True)
    text = default_corpus()
    _heading(console, f"1. Training on {len(text):,} characters of English")
    run = train_text(text=text, out=out, steps=steps, minutes=minutes, seed=seed, force=force)
    done = run.metrics["step"]
    if done < steps:
        console.print(
            f"   Stopped after {done:,} of {steps:,} steps, as {minutes:g} min were over: other "
            "programs use the processor, or it is slow. --minutes gives it more time."
        )

    _heading(console, "2. How well it predicts text that it has never seen")
    _compare_with_counting(console, run, text)

    _heading(console, "3. What it writes")
    _write(run, seed)

    _heading(console, "4. What its units remember")
    reading = read(run, _passage(str(run.test_text)))
    _tell_memories(console, reading)

    report = out / "report.html"
    write_report(report, reading, title="Inside a minute-old LSTM")
    _heading(console, "5. Look inside")
    console.print(f"   {report.resolve()}", style="bold")
    console.print("   Open it in a browser: every gate of every unit, over the text.")
    console.print("\nWhat to try next:")
    for command in (
        f'generate {out} --prompt "The "',
        f"inspect {out} --text \"if (x is None) and 'quoted'\"",
        "train text your-own-text.txt --out runs/mine",
    ):
        console.print(f"   {_program()} {command}", markup=False)


def _program() -> str:
    """How this program can be called from here, so that what is printed can be pasted."""
    return "glasscell" if shutil.which("glasscell") else os.path.relpath(sys.argv[0])


def _heading(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


def _compare_with_counting(console: Console, run: LanguageRun, text: str) -> None:
    """The model's bits per character beside those of n-gram models of the same split."""
    from glasscell.tasks.language import NGram, split_by_position

    split = split_by_position(text)
    train, test = (run.vocabulary.encode(part) for part in (split.train, split.test))
    figures = {"this model": run.evaluate().bits_per_character}
    orders = {3: "counting what follows 3 characters", 0: "counting characters"}
    for order, name in orders.items():
        ngram = NGram(order, len(run.vocabulary)).fit(train)
        figures[f"order {order}, {name}"] = ngram.bits_per_token(test)
    width = max(map(len, figures))
    longest = max(figures.values())
    for name, bits in figures.items():
        bar = "━" * round(30 * bits / longest)
        console.print(f"   {name:<{width}}  {bits:.3f} bits per character  {bar}", markup=False)


def _write(run: LanguageRun, seed: int) -> None:
    """A sample, as it comes."""
    prompt = "The "
    line_start = "   "
    print(line_start + prompt, end="", flush=True)
    for piece in run.stream(prompt, SAMPLE, seed=seed):
        print(piece.replace("\n", "\n" + line_start), end="", flush=True)
    print()


def _passage(text: str) -> str:
    """The stretch of a text with the most quotation marks and brackets: units that keep track of
    them show best there. It begins with a paragraph.
    """
    starts = [0, *(match.end() for match in re.finditer(r"\n\n+(?=\w)", text))]
    whole = [start for start in starts if start + READ <= len(text)] or [0]
    best = max(whole, key=lambda start: len(re.findall(r"[\"'()\[\]]", text[start : start + READ])))
    return text[best : best + READ]


def _tell_memories(console: Console, reading: Reading) -> None:
    from glasscell.analysis import units_by_memory

    for name, layer in reading.trace.items():
        units = units_by_memory(layer)
        console.print(
            f"   {name}: the longest of its {layer.hidden_size} units, "
            "by their mean forget gate f (-1/ln f)"
        )
        for unit in units[:5]:
            console.print(f"      unit {unit.unit:>3}  {unit.steps:>6,.0f} characters")
        median = units[len(units) // 2].steps
        console.print(f"      half of the units: less than {median:,.1f}")
