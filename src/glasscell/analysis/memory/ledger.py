"""The account of a state: which step put how much into it, and how much of that is still there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.analysis.finite import not_finite
from glasscell.analysis.whole_numbers import whole_number
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace


@dataclass(frozen=True)
class Ledger:
    """What one state of one sequence is made of, unit by unit; everything in float64.

    Attributes:
        step: the step whose state this is.
        steps: (K,) the steps that wrote to it, in the order in which the recurrence visited them:
            0 .. step, or in a reverse layer from the sequence's last step down to `step`.
        written: (K, H) what each of them wrote when it came: i_k * g_k in an LSTM.
        kept: (K, H) which part of that is still there: the product of f over the steps since.
        initial: (H,) the state that the recurrence started from.
        initial_kept: (H,) which part of that is still there.
    """

    step: int
    steps: Tensor
    written: Tensor
    kept: Tensor
    initial: Tensor
    initial_kept: Tensor

    @property
    def contributions(self) -> Tensor:
        """(K, H) how much of the state each step has put there: they and the rest sum to it."""
        return self.written * self.kept

    @property
    def rest(self) -> Tensor:
        """(H,) what is left of the initial state."""
        return self.initial * self.initial_kept

    @property
    def total(self) -> Tensor:
        """(H,) the state: the sum of all contributions and the rest."""
        return self.contributions.sum(0) + self.rest


def ledger(layer: LayerTrace, step: int = -1, b: int = 0) -> Ledger:
    """The exact account of a cell state.

    Written out, an LSTM's c_t = f_t * c_{t-1} + i_t * g_t is a sum over all steps so far,

        c_t = sum over k <= t of (f_{k+1} * ... * f_t) * i_k * g_k  +  (f_1 * ... * f_t) * c_0

    (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000). In a GRU, whose
    state is h, the update gate z takes the place of f, and (1 - z_k) * n_k that of i_k * g_k.

    Args:
        layer: a recorded LSTM or GRU layer, with or without peepholes.
        step: which state, by the step it is the state after; negative ones count from the
            sequence's end.
        b: which sequence of the caller's batch.

    Returns:
        The account. `total` is the recorded state up to rounding.

    Raises:
        InputError: a simple RNN, which keeps nothing from step to step; a step or a sequence that
            is not there; NaN in what was written up to there.

    Example:
        >>> with glasscell.trace(lstm) as trace:
        ...     y = lstm(x)
        >>> account = analysis.ledger(trace["l0"], step=20)
        >>> account.contributions.shape  # (K, H): the 21 steps so far, unit by unit
        torch.Size([21, 8])
        >>> largest = account.contributions[:, 3].abs().topk(5)  # which inputs unit 3 holds
    """
    carried = layer.carry(torch.float64)
    if carried is None:
        raise InputError(
            f"{layer.name}: {layer.why_no_carry}, so there is no account of it; ledger is for an "
            "LSTM, a GRU and their like"
        )
    keep, write = (layer.of_sequence(each.detach(), b) for each in carried)  # (T, H)
    T = len(keep)
    step = whole_number("step", step, -T, T - 1, f", the steps of sequence {b}") % T
    steps = torch.arange(T - 1, step - 1, -1) if layer.reverse else torch.arange(step + 1)
    keep, written = keep[steps], write[steps]
    wrong = ~(keep + written).isfinite().all(-1)  # (K,)
    if wrong.any():
        k = int(wrong.int().argmax())
        which = b if layer.layout.batched else None
        of_step = torch.cat((keep[k], written[k]))
        first = int(steps[k])
        raise not_finite(layer.name, "gates", of_step, first, which, reverse=layer.reverse)
    # (K + 1, H): the product of keep over the steps after each, and over all of them at the front
    products = torch.cat((keep, torch.ones_like(keep[:1]))).flip(0).cumprod(0).flip(0)
    initial = layer.initial_cell if layer.definition.has_cell_state else layer.initial_hidden
    initial = initial[b] if layer.layout.batched else initial
    return Ledger(
        step=step,
        steps=steps,
        written=written,
        kept=products[1:],
        initial=initial.detach().double(),
        initial_kept=products[0],
    )
