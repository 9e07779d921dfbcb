"""Where the `glasscell` command begins."""

from __future__ import annotations

import os
import sys

from glasscell.cli.boundary import exit_code

# Threads that wait for each other by spinning starve each other as soon as anything else runs on
# the same cores, so the spin is kept short. libgomp reads this when torch is first imported.
if sys.argv[1:2] != ["bench"]:  # which measures what programs get that do not set this
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with its exit code."""
    sys.exit(exit_code(lambda: _run(arguments)))


def _run(arguments: list[str] | None) -> object:
    from glasscell.cli.app import app  # here, so that missing packages are told in a sentence

    return app(args=arguments, prog_name="glasscell", standalone_mode=False)


if __name__ == "__main__":
    main()
