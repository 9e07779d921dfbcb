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
}


class WriteError(OSError, UserError):
    """A file could not be written; what was in its place before is still there, whole."""


def write_file(path: Path, data: bytes | memoryview) -> None:
    """Puts a file in place in one move: a reader, or a crash, meets the old one or the new one.

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
            raise write_error(error, path) from error
        raise


def write_error(error: OSError, path: Path) -> WriteError:
    """The error of a write, in one sentence."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return WriteError(f"cannot write {path}: {reason}; nothing that was there before is lost")
