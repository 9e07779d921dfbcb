"""Files that are either whole or not there: written beside their place, then renamed."""

import contextlib
import errno
import os
from pathlib import Path

from glasscell.errors import UserError

_REASONS = {
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "there is no such folder",
    errno.ENOTDIR: "a part of its path is a file",
    errno.EISDIR: "it is a folder",
    errno.EBADF: "it is closed",
}


class WriteError(OSError, UserError):
    """A file could not be written; what was in its place before, if anything, is still whole."""


def write_file(path: Path, data: bytes | memoryview, *, named: Path | None = None) -> None:
    """Puts a file in place in one move: a reader, or a crash, meets the old one or the new one.

    Args:
        named: what an error calls the file, where `path` is only its place for now.

    Raises:
        WriteError: no space, no permission, no such folder; nothing has changed.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise write_error(error, named or path) from error
        raise


def write_error(error: OSError, path: Path) -> WriteError:
    """The error of a write, in one sentence."""
    kept = "; nothing that was there before is lost" if os.path.lexists(path) else ""
    return WriteError(f"cannot write {path}: {reason_of(error)}{kept}")


def reason_of(error: OSError) -> str:
    """Why something could not be written, in plain English."""
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def refuse_unwritable(path: Path) -> None:
    """Tells early what `write_file` would meet: for a file that comes at the end of long work.

    Raises:
        WriteError: no such folder, no permission, or something other than a file is there.
    """
    if path.is_dir():
        raise WriteError(f"cannot write {path}: it is a folder; name a file")
    if path.exists() and not path.is_file():
        raise WriteError(f"cannot write {path}: it is not a plain file")
    if not path.parent.is_dir():
        raise WriteError(f"cannot write {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise WriteError(f"cannot write {path}: permission denied")
