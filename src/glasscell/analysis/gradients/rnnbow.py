"""Which loss taught the weights what, and at which step: the items of a gradient."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from glasscell.analysis.gradients.batched_backward import Copies, Run, norm, run_of
from glasscell.analysis.gradients.losses import Loss, on_each_state
from glasscell.cells import GRU, LSTM, RNN, SLSTM, StepGradient
from glasscell.engines.edits import step_edits
from glasscell.engines.noise import step_noise
from glasscell.errors import InputError


@dataclass(frozen=True)
class Rnnbow:
    """The gradient of one sequence's losses, split by the step that the loss is on and the step
    that it arrives at; everything in float64.

    Entry (s, t) of each (T, T) tensor belongs to the loss at step s, arrived at step t. It is 0
    where step t came after step s.

    Attributes:
        layer: "l0".
        kind: "lstm", "gru", "rnn" or "slstm".
        hidden: (T, T) norms of dL_s/dh_t, along all paths.
        cell: (T, T) norms of dL_s/dc_t; None for cells that have no cell state.
        recurrent, input: (T, T) norms of what (s, t) adds to dL/dU and to dL/dW.
        recurrent_share, input_share: (T, T) which part of dL/dU and dL/dW that is: the component
            along the whole gradient, over the whole gradient's norm. Negative where (s, t) pulls
            against the rest. Each sums to 1, or to 0 where there is no gradient.
        total_recurrent: (G*H, P) dL/dU, the sum over all (s, t).
        total_input: (G*H, I) dL/dW.
        total_state: (T, H) dL/dc_t in an LSTM, dL/dh_t elsewhere, of all losses together.
    """

    layer: str
    kind: str
    hidden: Tensor
    cell: Tensor | None
    recurrent: Tensor
    input: Tensor
    recurrent_share: Tensor
    input_share: Tensor
    total_recurrent: Tensor
    total_input: Tensor
    total_state: Tensor

    @property
    def state(self) -> Tensor:
        """(T, T) of dL_s/d(the state that carries the memory): c in an LSTM, h elsewhere."""
        return self.hidden if self.cell is None else self.cell


@torch.inference_mode(False)
def rnnbow(
    module: nn.Module,
    x: Tensor | PackedSequence,
    hx: Any = None,
    *,
    lengths: Tensor | Sequence[int] | None = None,
    layer: str | None = None,
    loss: Loss = None,
    b: int = 0,
) -> Rnnbow:
    """The items of a gradient: what the loss at step s adds to it at step t.

    dL/dU is a sum over all steps t of what arrives at the gates of step t, and that again over the
    losses of all steps s >= t. Cashman, Patterson, Mosca, Watts, Robinson and Chang (RNNbow, IEEE
    VIS 2017, arXiv:1907.12545) draw these items, to see how far back a network learns.

    Edits that hold (`glasscell.edit`) are part of what is measured. The sequence is run once; one
    batched backward has a copy of it for each loss. Memory is bounded; the work grows with T
    squared.

    Args:
        module: a `glasscell.LSTM`, `GRU` or `RNN`, or torch.nn's, with the weights it has.
        x, hx, lengths: what it reads, as a Glasscell layer takes it.
        layer: which of its layers and directions, "l0", "l1_reverse"; the last one's forward
            direction if absent.
        loss: a function from this layer's hidden states, in the layout of its output, to a number:
            what it puts on h_s directly is the loss of step s. Or dL_s/dh_s itself: (T, P) for
            sequence b, or (P,) for every step. If absent, L_s is the sum of the units of h_s.
        b: which sequence of the batch.

    Raises:
        TypeError: a module that is no such layer.
        InputError: inputs that it would refuse, a loss of a wrong shape, a layer or a sequence
            that is not there, states that are not finite; a cell whose weights' gradient is no sum
            of such items.

    Example:
        >>> head = torch.nn.Linear(8, 1)
        >>> found = analysis.rnnbow(lstm, x, loss=lambda h: head(h).square().mean(), b=2)
        >>> found.recurrent_share.shape, round(float(found.recurrent_share.sum()), 6)
        (torch.Size([35, 35]), 1.0)
        >>> by_step = found.recurrent_share.sum(0)  # what each step teaches the weights U
        >>> figure = plots.rnnbow(found)
    """
    run = run_of(module, x, hx, lengths=lengths, layer=layer)
    place = torch.tensor([run.place(b)])
    run.expect_finite(b)
    _expect_terms(run)
    T = int(run.lengths[place])
    dh = on_each_state(run, loss, int(place), b)  # (T, P), in the recurrence's order

    whole = run.backward(place, dh)
    dx_term, dh_term = _terms(whole)  # (T, G*H)
    h_prev = whole.call.packing.previous(whole.steps.h, whole.call.h_0)  # (T, P)
    dU, dW = dh_term.T @ h_prev, dx_term.T @ whole.call.x
    # <a b^T, M> = a . M b: the component of one step's item along the whole gradient
    along_U, along_W = h_prev @ dU.T, whole.call.x @ dW.T  # (T, G*H)
    size_U, size_W = norm(h_prev), norm(whole.call.x)  # (T,)
    nothing = torch.finfo(torch.float64).tiny  # of a gradient that is 0, every share is 0
    all_U, all_W = dU.square().sum().clamp(min=nothing), dW.square().sum().clamp(min=nothing)

    zeros = torch.zeros(T, T, dtype=torch.float64)
    names = ("hidden", "cell", "recurrent", "input", "recurrent_share", "input_share")
    found = {name: zeros.clone() for name in names}
    losses = torch.nonzero(dh.abs().sum(-1).cpu()).flatten().flip(0)  # the longest way first
    ends = place.expand(len(losses))
    for some, copies in run.backward_from_ends(ends, losses + 1, dh[losses.to(dh.device)]):
        s, t = losses[some][copies.m], copies.t
        dx_term, dh_term = _terms(copies)  # (N, G*H)
        at = t.to(dh.device)
        items = {
            "hidden": norm(copies.d.h),
            "recurrent": norm(dh_term) * size_U[at],
            "input": norm(dx_term) * size_W[at],
            "recurrent_share": (dh_term * along_U[at]).sum(-1) / all_U,
            "input_share": (dx_term * along_W[at]).sum(-1) / all_W,
        }
        if run.cell.has_cell_state:
            items["cell"] = norm(copies.d.of("cell", run.cell))
        for name, values in items.items():
            found[name][s, t] = values.cpu()

    def callers(values: Tensor, *dims: int) -> Tensor:
        return values.flip(dims) if run.call.reverse else values

    total_state = whole.d.of(run.cell.state, run.cell)
    items = {name: callers(values, 0, 1) for name, values in found.items()}
    cell = items.pop("cell")
    return Rnnbow(
        layer=run.name,
        kind=run.cell.kind,
        cell=cell if run.cell.has_cell_state else None,
        **items,
        total_recurrent=dU,
        total_input=dW,
        total_state=callers(total_state, 0),
    )


def _expect_terms(run: Run) -> None:
    """Refuses cells whose gradient is no sum of products with h_{t-1} and x_t, step by step."""
    cell, noise = run.cell, run.call.noise
    resets_before = isinstance(cell, GRU) and cell.reset_gate is not None and not cell.reset_after
    if resets_before or any(gate.peephole == "h_own" for gate in cell.gates):
        reason = "its recurrent weights multiply something else than h_{t-1} in a matrix"
    elif isinstance(cell, SLSTM) and noise is not None and noise.zoneout[0]:
        reason = "where its cell is held, its stabilizer has two parts in each step"
    elif not isinstance(cell, (LSTM, GRU, RNN, SLSTM)):
        reason = "how its gradient falls into items, its equations do not say step by step"
    else:
        return
    raise InputError(
        f"{run.name}: {cell.noun} such as this one cannot be looked at so: {reason}; rnnbow is "
        "for an LSTM, a GRU, an RNN and an sLSTM. gradient_flow is for every cell"
    )


def _terms(copies: Copies) -> tuple[Tensor, Tensor]:
    """(N, X*H) dL/d(W x_t + b_x) and (N, R*H) dL/d(U h_{t-1} + b_h).

    The backward of all steps at once: what reaches h_t along all paths is known. Of what reaches
    the carried states, it asks for the part that did not come through this step, which follows
    from what it makes of a guess: part by part, as each depends on those before it.
    """
    call, d = copies.call, copies.d
    h_prev = call.packing.previous(copies.steps.h, call.h_0)
    c_prev, d_c = None, None
    if copies.steps.c is not None and call.c_0 is not None:
        c_prev = call.packing.previous(copies.steps.c, call.c_0)
        d_c = torch.zeros_like(c_prev)
    (edits,), (noise,) = step_edits(call.edits, [slice(None)]), step_noise(call, [slice(None)])
    before = call.x, h_prev, c_prev, call.weights, edits, noise
    step = call.cell.step(*before)
    for _ in call.cell.carried:
        back = call.cell.step_backward(StepGradient(d.h, d_c), step, *before)
        assert d_c is not None
        assert d.c is not None
        assert back.dc is not None
        d_c = d_c + (d.c - back.dc)
    back = call.cell.step_backward(StepGradient(d.h, d_c), step, *before)
    return back.dx_term.flatten(1), back.dh_term.flatten(1)
