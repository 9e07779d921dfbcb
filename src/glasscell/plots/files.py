"""A figure as a file: a page, or a picture."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glasscell.errors import InputError
from glasscell.files import refuse_unwritable, write_file

if TYPE_CHECKING:
    import plotly.graph_objects as go

PICTURES = ("png", "svg", "pdf")
LONGEST = 60  # seconds for one picture; a browser that has not drawn it by then never will
PATIENCE = 10  # seconds in which a browser closes when it is asked to
WIDTH, HEIGHT = 1000, 400  # px, of figures that have no size of their own
INSTALL = (
    "pictures are drawn by a browser: pip install 'glasscell[figures]', and install Chrome or "
    "Chromium (its path in BROWSER_PATH, if it is not where browsers usually are), or write .html"
)


def save(
    figure: go.Figure,
    path: str | Path,
    *,
    width: int | None = None,
    height: int | None = None,
    scale: float = 2.0,
) -> Path:
    """Writes a figure to a file, whole or not at all.

    The path's ending says as what: .html is a page that can be zoomed and pointed at and needs
    nothing else, not even a network; .png, .svg and .pdf are pictures, drawn by a Chrome or
    Chromium without a window that is closed afterwards.

    Args:
        figure: any plotly figure.
        path: where to; a file that is there is replaced.
        width, height: px; the figure's own if absent, else 1000 by 400. A page without a width
            fills its window.
        scale: how many dots of a .png there are to a px.

    Returns:
        The path.

    Raises:
        InputError: an unknown ending, a figure or a size that is none; or, for a picture, no
            kaleido, no browser, or one that does not draw.
        WriteError: the file cannot be written.

    Example:
        >>> figure = plots.gate_heatmap(trace["l0"], "forget_gate")
        >>> plots.save(figure, "forget.html").name
        'forget.html'
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("html", *PICTURES):
        known = ", ".join(f".{each}" for each in ("html", *PICTURES))
        raise InputError(f"path: expected an ending among {known}, got {str(path)!r}")
    if not hasattr(figure, "to_html"):
        raise InputError(f"figure: expected a plotly figure, got {type(figure).__name__}")
    sizes = {"width": width, "height": height, "scale": scale}
    for name, size in sizes.items():
        if size is not None and not 0 < size < 1e5:
            raise InputError(f"{name}: expected a positive number, got {size}")
    refuse_unwritable(path)
    if kind == "html":
        write_file(path, _page(figure, width, height))
    else:
        write_file(path, _picture(figure, kind, width, height, scale))
    return path


def _page(figure: go.Figure, width: int | None, height: int | None) -> bytes:
    page = figure.to_html(
        include_plotlyjs=True,
        config={"responsive": True, "displaylogo": False},
        default_width="100%" if width is None else f"{width}px",
        default_height=f"{height or figure.layout.height or HEIGHT}px",
    )
    return page.encode("utf-8", "replace")


def _picture(
    figure: go.Figure, kind: str, width: int | None, height: int | None, scale: float
) -> bytes:
    """The picture as bytes; drawn in a thread, so that it works in a notebook's event loop too."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    try:
        from choreographer.errors import ChromeNotFoundError
        from kaleido import Kaleido
    except ImportError as error:
        raise InputError(f"path: {INSTALL}") from error
    options: Any = {
        "format": kind,
        "width": width or figure.layout.width or WIDTH,
        "height": height or figure.layout.height or HEIGHT,
        "scale": scale if kind == "png" else 1,
    }

    async def drawn() -> bytes:
        # MathJax would come from the network, and no figure of ours has formulas for it.
        kaleido = Kaleido(n=1, timeout=LONGEST, mathjax=False)

        async def draw() -> bytes:
            await kaleido.open()
            return await kaleido.calc_fig(figure.to_dict(), opts=options)

        start = time.monotonic()
        try:
            return await asyncio.wait_for(draw(), LONGEST)
        except Exception as error:
            # A browser that never answers is told apart from one that closes at once.
            if time.monotonic() - start >= LONGEST:
                raise TimeoutError from error
            raise
        finally:
            await _closed(kaleido)

    def run() -> bytes:
        return asyncio.run(drawn())

    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(run).result()
        except ChromeNotFoundError as error:
            raise InputError(f"path: {INSTALL}") from error
        except TimeoutError as error:
            raise InputError(f"path: the browser had not drawn it after {LONGEST} s") from error
        except Exception as error:
            said = error.args[0] if error.args else type(error).__name__
            raise InputError(f"path: the browser could not draw it: {said}") from error


async def _closed(kaleido: Any) -> None:
    """Closes the browser, by force where it does not answer."""
    import asyncio

    with contextlib.suppress(Exception):
        await asyncio.wait_for(kaleido.close(), PATIENCE)
    process = getattr(kaleido, "subprocess", None)
    if process is None or process.poll() is not None:
        return
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
    else:
        process.kill()
    process.wait()
