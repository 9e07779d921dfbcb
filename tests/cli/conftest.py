"""Running the command line: in this process where that will do, in one of its own where not."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from glasscell.cli.main import main
from glasscell.tasks.language import default_corpus
from glasscell.training import train_text

TEXT = default_corpus()[:6000]
COMMAND = [sys.executable, "-m", "glasscell.cli.main"]


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _small_world(tmp_path, monkeypatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GLASSCELL_DEBUG", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("COLUMNS", "100")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def cli(capfd, monkeypatch) -> Callable[..., Result]:
    """Runs a command in this process, with standard input if given (a terminal's otherwise)."""

    def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
        raw = io.BytesIO(stdin or b"")
        stream = io.TextIOWrapper(raw)
        stream.isatty = lambda: stdin is None
        monkeypatch.setattr(sys, "stdin", stream)
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        captured = capfd.readouterr()
        code = end.value.code
        return Result(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


@pytest.fixture
def process() -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts commands in processes of their own, and sees them off."""
    started: list[subprocess.Popen] = []

    def start(*arguments: str | Path, **options) -> subprocess.Popen:
        running = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            **options,
        )
        started.append(running)
        return running

    yield start
    for running in started:
        running.kill()
        running.communicate()


@pytest.fixture
def book(tmp_path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """A model folder; read it, never write to it."""
    return (
        train_text(
            text=TEXT,
            out=tmp_path_factory.mktemp("trained") / "run",
            hidden=16,
            batch=8,
            chunk=32,
            epochs=1,
            progress=False,
        ).path
        or Path()
    )
