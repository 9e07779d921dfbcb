"""What Lightning does otherwise than this package wants: writing checkpoints, and talking."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from glasscell.files import write_file


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole or not there, and are read without unpickling objects."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_file(Path(path), buffer.getbuffer())

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        with open(path, "rb") as file:  # given a path, torch wants one that is UTF-8
            return torch.load(file, map_location=map_location, weights_only=True)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keeps Lightning's notices (devices found, tips) and its hints to developers away: what a
    person should know, this package says itself."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Hints about loaders with few workers, missing loggers, and the like.
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            warnings.filterwarnings("ignore", module=r"lightning_utilities\..*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
