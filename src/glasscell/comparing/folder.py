"""The folder of a comparison: what its files are called, and whether a new one may be made."""

from __future__ import annotations

import shutil
from pathlib import Path

from glasscell.errors import UserError
from glasscell.files import write_error

PLAN = "plan.json"
RESULT, PAGE = "comparison.json", "comparison.html"
TUNED, JOURNAL = "tuned.json", "tuning.journal"
RUNS = "runs"  # a folder in it: the numbers and the weights of each training


def refuse_folder(folder: Path, *, force: bool) -> None:
    """Tells early what `make_folder` would meet.

    Raises:
        UserError: there is a comparison already, and `force` is not given; or something else.
    """
    if folder.is_file():
        raise UserError(f"cannot write {folder}: it is a file; name a folder")
    if (folder / PLAN).exists():
        if not force:
            raise UserError(
                f"{folder} holds a comparison; go on with it (resume, --resume), or replace it "
                "(force, --force)"
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other things; name a new folder, or an empty one")


def make_folder(folder: Path, *, force: bool) -> None:
    """A folder for a new comparison, in place of an old one if `force` is given.

    Raises:
        UserError: as `refuse_folder`, or the folder cannot be written.
    """
    refuse_folder(folder, force=force)
    try:
        # The plan goes first: what is left of a comparison without one counts for nothing.
        for name in (PLAN, RESULT, PAGE, TUNED, JOURNAL):
            (folder / name).unlink(missing_ok=True)
        if (folder / RUNS).exists():
            shutil.rmtree(folder / RUNS)
        (folder / RUNS).mkdir(parents=True)
    except OSError as error:
        raise write_error(error, folder) from error
