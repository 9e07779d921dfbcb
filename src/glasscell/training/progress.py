"""How a run is going: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Any, TextIO, cast

import lightning.pytorch as pl
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from glasscell.training.keep_best import KeepBest
from glasscell.training.run_module import RunModule

LIVE_EVERY = 0.2  # seconds between two looks at the loss on a terminal
PLAIN_EVERY = 30.0  # seconds between two lines elsewhere
DROPPED = ("step", "epoch", "validation", "loss")  # in this order, where a line is too narrow
STEADY = 3.0  # seconds over which the speed is averaged


class _Optional:
    """A text stream that loses what it cannot write: telling of a run must never end it.

    It stands below the console, as rich ends the process where a pipe is broken, and a live line
    is written from a thread of its own.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):  # ValueError: the stream has been closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class Progress(pl.Callback):
    """Shows loss, the figure that people compare, speed and time left.

    Between two looks a step costs one reading of the clock.

    Args:
        keep_best: has the validations so far, and the figures of a loss.
        headline: of these figures the one that people compare: its number alone, and with what
            it is.
        shown: whether anything is shown at all.
    """

    def __init__(
        self,
        keep_best: KeepBest,
        headline: Callable[[dict[str, float]], tuple[str, str]],
        *,
        shown: bool,
    ) -> None:
        self.keep_best = keep_best
        self.headline = headline
        self.shown = shown
        self.live: Live | None = None
        self._last_look = 0.0
        self._last_step = 0
        self._loss = math.nan
        self._rate = math.nan  # tokens a second
        self._validation = ""
        self._validated_at = 0

    @cached_property
    def console(self) -> Console:
        # Made where it is used: strategies that start processes send callbacks to them, and a
        # console holds locks, which cannot be sent.
        file = None if sys.stderr is None else cast(TextIO, _Optional(sys.stderr))
        return Console(file=file, stderr=True, highlight=False, soft_wrap=True)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, RunModule)
        self._last_look, self._last_step = time.monotonic(), pl_module.step
        self.shown = self.shown and trainer.is_global_zero
        if not self.shown:
            return
        if self.keep_best.history:
            self._note_validation()
        self._say_what_begins(pl_module)
        if self.console.is_terminal:
            self.live = Live(console=self.console, refresh_per_second=5, transient=True)
            self.live.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        if not self.shown:
            return
        now = time.monotonic()
        if now - self._last_look < (LIVE_EVERY if self.live else PLAIN_EVERY):
            return
        assert isinstance(pl_module, RunModule)
        self._look(pl_module, pl_module.step + 1, now)
        if self.live:
            self.live.update(self._bar(pl_module, pl_module.step + 1))
        else:
            self.console.print(self._line(pl_module, pl_module.step + 1))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, RunModule)
        if self.shown and pl_module.step > self._last_step and not trainer.sanity_checking:
            self._look(pl_module, pl_module.step, time.monotonic())

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, RunModule)
        if not self.shown or trainer.sanity_checking:
            return
        self._note_validation()
        if not self.live:
            self.console.print(self._line(pl_module, pl_module.step))
        self._last_look, self._last_step = time.monotonic(), pl_module.step

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def _look(self, module: RunModule, step: int, now: float) -> None:
        """Reads the loss; on an accelerator this waits for the device."""
        loss = module.last_loss.item()
        self._loss = loss if math.isnan(self._loss) else 0.8 * self._loss + 0.2 * loss
        seconds = max(1e-9, now - self._last_look)
        rate = (step - self._last_step) * self._tokens_per_step(module) / seconds
        weight = 1.0 if math.isnan(self._rate) else 1 - math.exp(-seconds / STEADY)
        self._rate = rate if weight == 1 else (1 - weight) * self._rate + weight * rate
        self._last_look, self._last_step = now, step

    def _note_validation(self) -> None:
        last = self.keep_best.history[-1]
        self._validation, self._validated_at = self.headline(last)[0], int(last["step"])

    def _validation_part(self, step: int) -> str:
        if not self._validation:
            return ""
        of = "" if step == self._validated_at else f" of step {self._validated_at:,}"
        return f"(validation {self._validation}{of})"

    @staticmethod
    def _tokens_per_step(module: RunModule) -> float:
        return module.tokens / module.plan.steps_per_epoch

    def _parts(self, module: RunModule, step: int) -> dict[str, str]:
        total = module.plan.total_steps
        parts = {
            "step": f"step {step:,}" + (f"/{total:,}" if total else ""),
            "epoch": f"epoch {step / module.plan.steps_per_epoch:.1f}",
            "loss": f"loss {self._loss:.3f}",
            "figure": self.headline(self.keep_best.figures(self._loss))[1],
            "validation": self._validation_part(step),
            "speed": f"{self._rate:,.0f} tokens/s",
            "left": f"{self._left(module, step)} left",
        }
        return {name: part for name, part in parts.items() if part}

    def _line(self, module: RunModule, step: int) -> str:
        return "  ".join(self._parts(module, step).values())

    def _bar(self, module: RunModule, step: int) -> Table:
        """The bar and as many of the figures as one line holds."""
        parts = self._parts(module, step)
        for name in DROPPED:
            if len("  ".join(parts.values())) <= self.console.width - 12:
                break
            parts.pop(name, None)
        line = "  ".join(parts.values())
        done = module.plan.fraction(step, module.budgeted_seconds)
        width = max(10, min(40, self.console.width - len(line) - 2))
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_row(
            ProgressBar(total=1.0, completed=done, width=width),
            Text(line, no_wrap=True, overflow="ellipsis"),
        )
        return grid

    def _left(self, module: RunModule, step: int) -> str:
        done = module.plan.fraction(step, module.budgeted_seconds)
        if done <= 0:
            return "?"
        # From the speed of now, not of the whole run: a resumed run may be on another machine.
        limits = []
        if (total := module.plan.total_steps) is not None and self._rate > 0:
            limits.append((total - step) * self._tokens_per_step(module) / self._rate)
        if module.plan.recipe.minutes is not None:
            limits.append(60 * module.plan.recipe.minutes - module.budgeted_seconds)
        seconds = max(0, round(min(limits, default=0)))
        hours, minutes = divmod(seconds // 60, 60)
        return (
            f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
        )

    def _say_what_begins(self, module: RunModule) -> None:
        verb = f"Resuming at step {module.step:,}" if module.step else "Training"
        self.console.print(f"{verb}: {module.what_is_trained()}, {self.device_name(module)}")

    @staticmethod
    def device_name(module: RunModule) -> str:
        world = module.trainer.world_size
        kind = {"cpu": "CPU", "cuda": "GPU"}.get(module.device.type, module.device.type.upper())
        return f"{world} x {kind}" if world > 1 else kind
