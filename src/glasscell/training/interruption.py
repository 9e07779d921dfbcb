"""Ctrl-C, and being told to end, without losing anything; and how training tells of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl

from glasscell.training.keep_best import KeepBest
from glasscell.training.language_module import LanguageModule
from glasscell.training.model_folder import CHECKPOINT

HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)  # a closed terminal; Windows has none
SIGNALS = (signal.SIGINT, signal.SIGTERM, HANG_UP)


class Interrupted(KeyboardInterrupt):
    """Training was interrupted.

    The text says what there is now; `signal` is the number of the signal that did it, and
    `resumable` says whether the run can be gone on with.
    """

    def __init__(
        self, message: str, *, number: int = signal.SIGINT, resumable: bool = True
    ) -> None:
        super().__init__(message)
        self.signal = int(number)
        self.resumable = resumable


class StopAsked(Exception):
    """Ends Lightning's loop after everything has been written."""


class StopSignals(pl.Callback):
    """Lets the step in progress finish, writes everything, and stops.

    A signal may come in the middle of an update; acting on it at once would leave weights that are
    half old and half new. So it is noted, and acted on between two steps. A second signal is not
    waited with.
    """

    def __init__(self, keep_best: KeepBest) -> None:
        self.keep_best = keep_best
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes over the signals, and gives them back in the end."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread can
            return
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        if self._before.get(HANG_UP) is signal.SIG_IGN:
            del self._before[HANG_UP]  # under nohup a run outlives its terminal
        try:
            self._listen()
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _listen(self) -> None:
        for number in self._before:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: object) -> None:
        self.received = number
        for each in self._before:
            signal.signal(each, signal.default_int_handler)

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._listen_again()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._listen_again()

    def _listen_again(self) -> None:
        # Lightning puts a handler of its own in place just before, which would stop elsewhere.
        if self._before and self.received is None:
            self._listen()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._act(trainer, pl_module)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        self._act(trainer, pl_module)

    def _act(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        asked = self.received is not None
        if trainer.world_size > 1:  # all processes stop after the same step
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if not asked:
            return
        assert isinstance(module, LanguageModule)
        module.guard.check()
        if not self.keep_best.has_model:
            self.keep_best.write_model(trainer, module)
        trainer.save_checkpoint(self.keep_best.writer.place / CHECKPOINT, weights_only=False)
        raise StopAsked
