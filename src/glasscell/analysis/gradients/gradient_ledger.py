"""The account of a gradient: at which step how much of dL/dc_t entered, and how it got here."""

from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.analysis.whole_numbers import whole_number
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace


@dataclass(frozen=True)
class GradientLedger:
    """What the gradient of one state of one sequence is made of, unit by unit; all in float64.

    Attributes:
        step: the step whose state this is the gradient of.
        steps: (K,) the steps at which gradient entered the state, in the order in which the
            recurrence visited them: step .. T - 1, or in a reverse layer from `step` down to 0.
        entered: (K, H) what entered at each of them: in an LSTM through h_s, through gates that
            read c by a peephole, and what the loss puts on c_s itself; in a GRU from the loss, and
            through the gates and the candidate of the step after.
        kept: (K, H) which part of that gets to `step`: the product of f over the steps between.
    """

    step: int
    steps: Tensor
    entered: Tensor
    kept: Tensor

    @property
    def contributions(self) -> Tensor:
        """(K, H) how much of the gradient entered at each step: they sum to it."""
        return self.entered * self.kept

    @property
    def total(self) -> Tensor:
        """(H,) dL/d(the state): the sum of all contributions."""
        return self.contributions.sum(0)


def gradient_ledger(
    layer: LayerTrace, step: int = 0, b: int = 0, *, gradient: Tensor | None = None
) -> GradientLedger:
    """The exact account of dL/dc_t, the mirror of `ledger`.

    Going back in time an LSTM's dL/dc_t = f_{t+1} * dL/dc_{t+1} + u_t, where u_t is what enters at
    step t itself. Written out, it is a sum over all steps from t on,

        dL/dc_t = sum over s >= t of (f_{t+1} * ... * f_s) * u_s

    the constant error carousel (Hochreiter and Schmidhuber 1997), with a forget gate. In a GRU,
    whose state is h, the update gate z takes the place of f. Edits of the layer are accounted for.

    Args:
        layer: a recorded LSTM or GRU layer.
        step: which state, by the step it is the state after; negative ones count from the
            sequence's end.
        b: which sequence of the caller's batch.
        gradient: (T, H) dL/dc_t (in a GRU dL/dh_t) of all steps of that sequence, along all paths;
            the layer's own, `layer.grad`, if absent.

    Returns:
        The account. `total` is dL/dc_t up to rounding.

    Raises:
        InputError: a simple RNN, which keeps nothing from step to step; a step or a sequence that
            is not there; a gradient of another shape than the state's; none, in a trace that did
            not keep its gradients.

    Example:
        >>> with glasscell.trace(lstm, gradients=True) as trace:
        ...     lstm(x)[0][-1].square().sum().backward()
        >>> account = analysis.gradient_ledger(trace["l0"], step=20)
        >>> account.contributions.shape  # (K, H): from steps 20 to 34, unit by unit
        torch.Size([15, 8])
    """
    carry = layer.carry(torch.float64)
    if carry is None:
        raise InputError(
            f"{layer.name}: {layer.why_no_carry}, so no gradient is known to come along it; "
            "gradient_ledger is for an LSTM, a GRU and their like"
        )
    keep = layer.of_sequence(carry[0].detach(), b)  # (T, H)
    T, state = len(keep), layer.definition.state
    step = whole_number("step", step, -T, T - 1, f", the steps of sequence {b}") % T
    if gradient is None:
        gradient = layer.of_sequence(layer.grad.tokens(state), b)
    d = gradient.detach().to(keep)
    if d.shape != keep.shape:
        raise InputError(
            f"gradient: expected {tuple(keep.shape)}, that of the {state} state of sequence {b}, "
            f"got {tuple(d.shape)}"
        )
    steps = torch.arange(step, -1, -1) if layer.reverse else torch.arange(step, T)
    keep, d = keep[steps], d[steps]
    came = torch.cat((keep[1:] * d[1:], torch.zeros_like(d[:1])))  # (K, H) along the state
    ones = torch.ones_like(keep[:1])
    return GradientLedger(
        step=step,
        steps=steps,
        entered=d - came,
        kept=torch.cat((ones, keep[1:])).cumprod(0),
    )
