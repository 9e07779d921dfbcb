"""How a run on a classic task is going: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from shutil import get_terminal_size

from glasscell.tasks.classic import ClassicTask
from glasscell.training.classic_run import figure, levels
from glasscell.training.generated_loop import GeneratedLoop
from glasscell.training.recipe import LONGEST

LIVE_EVERY = 0.2  # seconds between two looks on a terminal
PLAIN_EVERY = 5.0  # seconds between two lines elsewhere
BAR = 24  # characters
DROPPED = ("loss", "speed", "step")  # in this order, where a line is too narrow
WIPE = "\r\x1b[2K"


class ClassicProgress:
    """Shows score, chance and optimum, loss, speed and time left, on standard error.

    Telling of a run never ends it: what cannot be written is lost.
    """

    def __init__(self, task: ClassicTask, *, shown: bool) -> None:
        self.task, self.shown = task, shown
        self._live = shown and sys.stderr is not None and sys.stderr.isatty()
        self._looked, self._step, self._rate = time.monotonic(), 0, 0.0

    def begin(self, what: str, step: int) -> None:
        """Says what is trained."""
        self._step = step
        verb = f"Resuming at step {step:,}" if step else "Training"
        self._print(f"{verb}: {what}\n")

    def stepped(self, loop: GeneratedLoop) -> None:
        """After a step: shows how it goes, now and then."""
        now = time.monotonic()
        since = now - self._looked
        if not self.shown or since < (LIVE_EVERY if self._live else PLAIN_EVERY):
            return
        rate = (loop.step - self._step) / since
        self._rate = rate if not self._rate else 0.8 * self._rate + 0.2 * rate
        self._looked, self._step = now, loop.step
        self._print(WIPE + self._bar(loop) if self._live else self.line(loop) + "\n")

    def end(self, loop: GeneratedLoop | None) -> None:
        """Takes the live line away; elsewhere says how it went."""
        if self._live:
            self._print(WIPE)
        elif loop is not None and loop.step:
            self._rate = self._rate or loop.step / max(loop.seconds, 1e-9)
            self._print(self.line(loop) + "\n")

    def line(self, loop: GeneratedLoop) -> str:
        """All figures of now."""
        return "  ".join(self._parts(loop).values())

    def _parts(self, loop: GeneratedLoop) -> dict[str, str]:
        recipe, task = loop.recipe, self.task
        of = f"/{recipe.steps:,}" if recipe.steps < LONGEST else ""
        parts = {"step": f"step {loop.step:,}{of}", "loss": f"loss {loop.loss:.4f}"}
        if loop.history:
            last = loop.history[-1]
            parts["score"] = f"{figure(task, last.score)} {task.measure} ({levels(task)})"
        parts |= {"speed": f"{self._rate:,.0f} steps/s", "left": f"{self._left(loop)} left"}
        return parts

    def _bar(self, loop: GeneratedLoop) -> str:
        """The bar and as many of the figures as one line holds."""
        width, parts = get_terminal_size().columns - 1, self._parts(loop)
        for name in DROPPED:
            if BAR + 2 + len("  ".join(parts.values())) <= width:
                break
            del parts[name]
        done = round(loop.fraction * BAR)
        return f"{'━' * done}{'─' * (BAR - done)}  {'  '.join(parts.values())}"[:width]

    def _left(self, loop: GeneratedLoop) -> str:
        limits = [] if loop.limit is None else [loop.limit - loop.seconds]
        if self._rate:
            limits.append((loop.recipe.steps - loop.step) / self._rate)
        if not limits:
            return "?"
        seconds = max(0, round(min(limits)))
        hours, minutes = divmod(seconds // 60, 60)
        rest = f"{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
        return f"{hours}:{rest}" if hours else rest

    def _print(self, text: str) -> None:
        if self.shown:
            with suppress(OSError, ValueError, AttributeError):  # it has been closed, or is None
                sys.stderr.write(text)
                sys.stderr.flush()
