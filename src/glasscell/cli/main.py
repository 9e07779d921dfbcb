"""Where the `glasscell` command begins."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from glasscell.cli.boundary import exit_code


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may not know every character
    sys.exit(exit_code(lambda: _run(arguments)))


def _run(arguments: list[str] | None) -> object:
    from glasscell.cli.app import app  # here, so that missing packages are told in a sentence

    return app(args=arguments, prog_name="glasscell", standalone_mode=False)


if __name__ == "__main__":
    main()
