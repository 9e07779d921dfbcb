"""A model folder: what `train` writes and every other command reads.

    config.json         the task, the architecture, the training, where the text came from, versions
    model.safetensors   the weights that did best on what is held out
    metrics.json        how they did, and the history of the run
    last.ckpt           where the run stood, to resume it

and, of a language model,

    vocab.json          the vocabulary
    test.txt            the held-out end of the text, to evaluate on

Nothing but `--resume` reads `last.ckpt`, and that without unpickling objects.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save
from torch import Tensor, nn

from glasscell.errors import UserError
from glasscell.files import write_error, write_file

CONFIG = "config.json"
VOCABULARY = "vocab.json"
WEIGHTS = "model.safetensors"
METRICS = "metrics.json"
TEST_TEXT = "test.txt"
CHECKPOINT = "last.ckpt"

FORMAT = 1  # of config.json; a reader refuses what is newer than it knows


class FolderError(UserError):
    """A folder that cannot be read as a model, or must not be written to."""


class FolderWriter:
    """Writes a model folder so that there is a whole model, or the one from before, at all times.

    A new run is drafted in a hidden folder beside its place, and moved there once it holds a
    whole model: until then a folder that is to be replaced stays as it was.

    Args:
        path: where the folder shall be; a link stays, and what it points to is written.
        replace: replace a model folder that is already there.

    Raises:
        FolderError: something is already there (and `replace` is not set, or it is no model
            folder: a folder of something else is never replaced).
        WriteError: the place cannot be written to.
    """

    def __init__(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        self.path = Path(path)
        refuse_existing(self.path, replace=replace)
        self._target = Path(os.path.realpath(self.path))
        if self._target.is_symlink():
            raise FolderError(f"{self.path} is a link that leads back to itself; name another")
        self._draft: Path | None = self._target.with_name(
            f".{self._target.name}.{os.getpid()}.draft"
        )
        try:
            shutil.rmtree(self._draft, ignore_errors=True)
            self._draft.mkdir(parents=True)
        except OSError as error:
            raise write_error(error, self.path) from error

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> FolderWriter:
        """Goes on writing a folder that already holds a model."""
        writer = object.__new__(cls)
        writer.path = writer._target = Path(path)
        writer._draft = None
        return writer

    @property
    def published(self) -> bool:
        """Whether `path` holds this run's model."""
        return self._draft is None

    @property
    def place(self) -> Path:
        """Where files are written now."""
        return self._draft or self.path

    def write(self, name: str, data: bytes | dict[str, Any]) -> None:
        """Writes one file; a dict as JSON."""
        if isinstance(data, dict):
            data = (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode(
                "utf-8", "surrogatepass"
            )
        write_file(self.place / name, data, named=self.path / name)

    def publish(self) -> None:
        """Moves the draft, now a whole model, to its place."""
        if self._draft is None:
            return
        old = self._draft.with_suffix(".old")
        try:
            if self._target.exists():
                os.rename(self._target, old)
            os.rename(self._draft, self._target)
        except OSError as error:
            if old.exists() and not self._target.exists():
                os.rename(old, self._target)
            raise write_error(error, self.path) from error
        self._draft = None
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Takes the draft away if it never became a model."""
        if self._draft is not None:
            shutil.rmtree(self._draft, ignore_errors=True)


def refuse_existing(path: Path, *, replace: bool) -> None:
    """Raises FolderError where writing a model folder to `path` would lose something."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not path.is_dir():
        raise FolderError(f"{path} is a file; name a folder that does not exist yet")
    if not is_model_folder(path):
        raise FolderError(
            f"{path} exists and is not a model folder, so it is left alone; name another"
        )
    if not replace:
        raise FolderError(
            f"{path} already holds a model; go on with it (--resume, or resume_text, "
            "resume_classic), replace it (--force, or force=True), or name another folder"
        )


def is_model_folder(path: Path) -> bool:
    try:
        return "task" in json.loads((path / CONFIG).read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """One JSON file of a model folder.

    Raises:
        FolderError: it is missing or damaged.
    """
    try:
        content = json.loads((folder / name).read_bytes())
    except FileNotFoundError:
        raise FolderError(f"{folder} is not a whole model folder: it has no {name}") from None
    except OSError as error:
        raise FolderError(f"cannot read {folder / name}: {error.strerror}") from None
    except ValueError:
        raise FolderError(f"{folder / name} is damaged: it is not valid JSON") from None
    if not isinstance(content, dict):
        raise FolderError(f"{folder / name} is damaged: it does not hold what it should")
    return content


def read_checkpoint(path: Path, is_whole: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What a last.ckpt holds. No object is unpickled.

    Args:
        is_whole: whether it holds all that a run takes from it.

    Raises:
        FolderError: it is missing, damaged, or of another model or program.
    """
    try:
        with open(path, "rb") as file:  # given a path, torch wants one that is UTF-8
            saved = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FolderError(f"{path.parent} has no {path.name} to resume from") from None
    except MemoryError:
        raise
    except Exception:  # bytes that are no checkpoint end the reader in any way at all
        saved = None
    if not isinstance(saved, dict) or not is_whole(saved):
        raise FolderError(f"{path} is damaged: the run cannot be resumed")
    return saved


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model folder, of a format that this version knows.

    Raises:
        FolderError: not a model folder, damaged, or written by a newer version.
    """
    if not folder.exists():
        raise FolderError(f"there is no model folder {folder}")
    if not folder.is_dir():
        raise FolderError(f"{folder} is a file, not a model folder")
    if not (folder / CONFIG).exists():
        raise FolderError(f"{folder} is not a model folder: it has no {CONFIG}")
    config = read_json(folder, CONFIG)
    if not isinstance(config.get("task"), str) or not isinstance(config.get("format"), int):
        raise FolderError(f"{folder} is not a model folder: its {CONFIG} is of something else")
    if config["format"] > FORMAT:
        raise FolderError(
            f"{folder} was written by a newer version of Glasscell "
            f"({config.get('glasscell', 'unknown')}); upgrade to read it"
        )
    return config


def write_weights(writer: FolderWriter, weights: dict[str, Tensor]) -> None:
    """Writes the weights file."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    writer.write(WEIGHTS, save(plain, metadata={"format": "pt"}))


def load_weights(model: nn.Module, folder: Path) -> None:
    """Puts the weights of a model folder into a model.

    Raises:
        FolderError: the file is missing or damaged, or belongs to another architecture.
    """
    path = folder / WEIGHTS
    try:
        weights = load_bytes(path.read_bytes())  # `load_file` wants a path that is UTF-8
    except FileNotFoundError:
        raise FolderError(f"{folder} is not a whole model folder: it has no {WEIGHTS}") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise FolderError(f"{path} is damaged: {error}") from None
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise FolderError(
                f"{path} does not belong to the model that config.json describes: {name} is "
                f"{found.get(name, 'missing')}, expected {expected.get(name, 'none')}"
            )
    # 64-true and bf16-true leave weights of other precisions, which are as good.
    if not all(tensor.is_floating_point() for tensor in weights.values()):
        raise FolderError(f"{path} is damaged: weights that are not finite numbers")
    model.load_state_dict(weights)
    if not all(tensor.isfinite().all() for tensor in model.state_dict().values()):
        raise FolderError(f"{path} is damaged: weights that are not finite numbers")
