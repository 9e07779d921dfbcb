"""What a state is made of: which step put how much into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from glasscell.analysis import GradientLedger, Ledger
from glasscell.plots.account import Account, account_map, columns
from glasscell.plots.theme import theme_of

if TYPE_CHECKING:
    import plotly.graph_objects as go


def ledger(
    account: Ledger,
    *,
    unit: int | None = None,
    tokens: Sequence[str] | None = None,
    dark: bool = False,
) -> go.Figure:
    """The account of a state.

    Of one unit, a column for each step: what it wrote when it came as a frame, and filled what is
    still there, red above 0 and blue below. At the left, at "…", stands what is left of the initial
    state, at the right the sum, which is the state. Of all units, a map of what is there: a row a
    unit, a column a step.

    Args:
        account: what `analysis.ledger` found.
        unit: which unit, from 0; all of them if absent.
        tokens: (T,) what was read at each step, shown on hovering and, if few, on the axis.
        dark: for dark pages.

    Raises:
        InputError: a unit that is not there, or fewer tokens than steps.

    Example:
        >>> account = analysis.ledger(trace["l0"], step=20)
        >>> figure = plots.ledger(account, unit=3)
    """
    words = ("written when it came", "still there", "the state")
    at = f"after step {account.step}"
    written, now, rest = (t.numpy() for t in (account.written, account.contributions, account.rest))
    drawn = _in_time(account.steps.numpy(), written, now, rest, words)
    theme = theme_of(dark)
    if unit is None:
        return account_map(drawn, tokens, theme, f"What the state {at} is made of")
    return columns(drawn, unit, tokens, theme, f"What unit {unit} holds {at}")


def gradient_ledger(
    account: GradientLedger,
    *,
    unit: int | None = None,
    tokens: Sequence[str] | None = None,
    dark: bool = False,
) -> go.Figure:
    """The account of a state's gradient, drawn as `ledger` draws that of a state.

    A frame is what entered at a step, filled is what of it gets back along the state; the sum is
    the gradient.

    Args:
        account: what `analysis.gradient_ledger` found.
        unit, tokens, dark: as in `ledger`.

    Raises:
        InputError: as `ledger`.

    Example:
        >>> with glasscell.trace(lstm, gradients=True) as trace:
        ...     lstm(x)[0][-1].square().sum().backward()
        >>> account = analysis.gradient_ledger(trace["l0"], step=20)
        >>> figure = plots.gradient_ledger(account, unit=3)
    """
    words = ("entered there", "of it gets back", "the gradient")
    entered, now = account.entered.numpy(), account.contributions.numpy()
    drawn = _in_time(account.steps.numpy(), entered, now, None, words)
    theme, at = theme_of(dark), f"at step {account.step}"
    if unit is None:
        return account_map(drawn, tokens, theme, f"Where the gradient {at} comes from")
    return columns(drawn, unit, tokens, theme, f"Where unit {unit} gets its gradient {at} from")


def _in_time(
    steps: np.ndarray,
    at_first: np.ndarray,
    now: np.ndarray,
    start: np.ndarray | None,
    words: tuple[str, str, str],
) -> Account:
    """Rows by step: a reverse layer's account lists them from the last."""
    order = np.argsort(steps)
    return Account(steps[order], at_first[order], now[order], start, words)
