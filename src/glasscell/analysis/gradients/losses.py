"""What a loss puts on the hidden states of a run, as the analyses of gradients are given it."""

from collections.abc import Callable

import torch
from torch import Tensor

from glasscell.analysis.gradients.batched_backward import Run
from glasscell.analysis.whole_numbers import whole_number
from glasscell.errors import InputError

Loss = Tensor | Callable[[Tensor], Tensor] | None


def on_last_state(run: Run, loss: Loss, directions: int) -> Tensor:
    """(B, K, P) dL/dh at each sequence's end for each of K losses, longest sequence first.

    Args:
        loss: a function of h_T (B, P), or dL/dh_T (P,) or (B, P), in the caller's order; None for
            directions at right angles to each other, drawn from a fixed seed.
        directions: how many of these; P at most.
    """
    B, P = run.call.h_0.shape
    h = run.steps.h
    if loss is None:
        directions = whole_number("directions", directions, 1)
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(P, min(directions, P), generator=generator, dtype=torch.float64)
        return torch.linalg.qr(drawn).Q.T.expand(B, -1, -1).to(h.device)
    if isinstance(loss, Tensor):
        if loss.shape not in ((P,), (B, P)):
            raise InputError(f"loss: expected ({P},) or ({B}, {P}), got {tuple(loss.shape)}")
        d = loss.detach().to(h).expand(B, P)
    else:
        last = run.layout.callers_states(run.call.packing.last(h, run.call.reverse))
        d = _gradient(loss, last.to(run.dtype), "the last hidden state").to(h)
    return run.layout.sorted_states(d).unsqueeze(1)


def on_each_state(run: Run, loss: Loss, place: int, b: int) -> Tensor:
    """(T, P) dL_s/dh_s of one sequence, in the recurrence's order.

    Args:
        loss: a function of the hidden states in the caller's layout, or dL_s/dh_s (P,) or (T, P)
            of this sequence; None for the sum of the units of each h_s.
        place: of the sequence among the packed ones.
        b: and in the caller's batch, for messages.
    """
    h, T = run.steps.h, int(run.lengths[place])
    P = h.shape[1]
    if loss is None:
        return h.new_ones(T, P)
    if isinstance(loss, Tensor):
        if loss.shape not in ((P,), (T, P)):
            raise InputError(
                f"loss: expected ({P},), or ({T}, {P}) for sequence {b}, got {tuple(loss.shape)}"
            )
        d = loss.detach().to(h).expand(T, P)
        return d.flip(0) if run.call.reverse else d
    padded = run.layout.padded
    d = _gradient(lambda h: loss(padded(h)), h.to(run.dtype), "the hidden states").to(h)
    t = torch.arange(T)
    return d[run.rows(t, torch.full_like(t, place)).to(d.device)]


def _gradient(loss: Callable[[Tensor], Tensor], h: Tensor, what: str) -> Tensor:
    """dL/dh of what a loss reads.

    Raises:
        InputError: what it gives is no number, or does not depend on what it reads.
    """
    with torch.enable_grad():
        read = h.detach().requires_grad_()
        value = loss(read)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            came = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(
                f"loss: expected a function from {what} to a number that depends on it, got {came}"
            )
        (d,) = torch.autograd.grad(value.sum(), read, allow_unused=True)
    if d is None:
        raise InputError(f"loss: expected a function of {what}, got one that does not read it")
    return d
