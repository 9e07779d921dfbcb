"""How good forecasts were, on a terminal: words first, then the numbers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.box import MARKDOWN, SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from glasscell.tasks.series.backtest import Backtest
    from glasscell.tasks.series.panel import Panel

WITHOUT_TERMINAL = 200  # columns: a line of Markdown is never broken
NAMES = {
    "crps": "CRPS",
    "mase": "MASE",
    "rmsse": "RMSSE",
    "smape": "sMAPE",
    "weighted_quantile_loss": "WQL",
    "covers_90": "in 90 %",
    "covers_50": "in 50 %",
}


def show(found: Backtest, panel: Panel) -> None:
    """Prints it to standard output: for eyes on a terminal, as Markdown elsewhere."""
    is_terminal = sys.stdout.isatty()
    console = Console(width=None if is_terminal else WITHOUT_TERMINAL, highlight=False)
    for sentence in found.sentences():
        console.print(sentence, markup=False, soft_wrap=not is_terminal)
    table = Table(box=SIMPLE_HEAD if is_terminal else MARKDOWN, pad_edge=not is_terminal)
    table.add_column("")
    for name in NAMES.values():
        table.add_column(name, justify="right")
    for kind, scores in found.scores.items():
        cells = []
        for name in NAMES:
            value = getattr(scores, name)
            is_share = name.startswith("covers")
            cells.append(f"{100 * value:.0f} %" if is_share else f"{value:.3f}")
        table.add_row(kind, *cells, style="bold" if kind == next(iter(found.scores)) else None)
    console.print(table)
    told = (
        f"{found.values:,} values of {found.series[0]:,} series "
        f"({found.series[1]:,} there are), from {len(found.origins)} origins "
        f"{found.horizon} x {panel.frequency} apart. CRPS and MASE: in units of the mean absolute "
        f"difference {found.season} steps apart in the training part; less is better, as in all "
        "but the last two columns: the share of values within intervals that should hold as many."
    )
    console.print(told, markup=False, style="dim", soft_wrap=not is_terminal)
