"""How a loss on the last state reaches back to each earlier step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from glasscell.analysis.gradients.batched_backward import Copies, Run, norm, run_of
from glasscell.analysis.gradients.carousel import all_the_way, carried, keep_of
from glasscell.analysis.gradients.losses import Loss, on_last_state
from glasscell.errors import InputError

Verdict = Literal["vanishing", "carried", "exploding"]

FAINT = 0.01  # a gradient of which less than this arrives has vanished; of 1 / this, exploded
UNDERFLOW = 1e-250  # a smaller gradient that becomes 0 has left float64's range; it was not cut


@dataclass(frozen=True)
class GradientFlow:
    """What arrives of a loss at each distance from the state it is on; everything in float64.

    Row d of each (T, B) tensor is d steps before the last state of each sequence, in the
    recurrence's order; where a sequence has no such step, it is NaN. Norms are Euclidean, over
    units; with several directions, the root of the mean of their squares.

    Attributes:
        layer: "l0".
        kind: "lstm", "gru", "rnn", ...
        directions: for how many losses, each a direction of unit length on the last hidden
            state; 0 where the caller gave the loss.
        hidden: (T, B) of dL/dh_t, along all paths.
        cell: (T, B) of dL/dc_t, along all paths; None for cells that have no cell state.
        gates: (T, B) of dL/d(each gate), after activation, by the gate's name.
        carried: (T, B) what came along the state, keep_{t+1} * dL/dstate_{t+1}: keep is f in an
            LSTM, whose state is c, and z in a GRU, whose state is h. None for a simple RNN, which
            keeps nothing.
        through_gates: (T, B) the rest of dL/dstate_t: what came through h_t, or the gates of the
            step after, or from the loss itself. As vectors the two sum to dL/dstate_t.
        carousel: (T, B) what came along the state all the way: the product of keep over all steps
            after t, times dL/dstate at the end. None for a simple RNN.
    """

    layer: str
    kind: str
    directions: int
    hidden: Tensor
    cell: Tensor | None
    gates: dict[str, Tensor]
    carried: Tensor | None
    through_gates: Tensor
    carousel: Tensor | None

    @property
    def state(self) -> Tensor:
        """(T, B) of dL/d(the state that carries the memory): c in an LSTM, h elsewhere."""
        return self.hidden if self.cell is None else self.cell

    @property
    def relative(self) -> Tensor:
        """(T,) which part of dL/dstate arrives at each distance, 1 at distance 0.

        Root mean squares over the sequences that have so many steps.
        """
        return self.part(self.state)

    def part(self, norms: Tensor) -> Tensor:
        """(T,) any of the norms, as part of dL/dstate at the end of the same sequences."""
        there = ~self.state.isnan()  # (T, B)

        def mean(values: Tensor) -> Tensor:
            many = there.sum(1).double().sqrt()
            return norm(torch.where(there, values, torch.zeros_like(values))) / many

        start = mean(self.state[0].expand_as(self.state))
        part = mean(norms) / start
        return torch.where(start > 0, part, torch.zeros_like(part))

    @property
    def rate(self) -> float:
        """By which factor dL/dstate grows at each step back: the geometric mean over all steps.

        0 where it is cut off on the way; where it only left what float64 can hold, the mean over
        the steps before.
        """
        relative = self.relative
        fits = torch.nonzero((relative != 0) & relative.isfinite()).flatten()
        d = int(fits.max()) if len(fits) else 0
        is_cut = d < len(relative) - 1 and UNDERFLOW < float(relative[d]) < 1 / UNDERFLOW
        return 0.0 if is_cut or d == 0 else float(relative[d] ** (1 / d))

    @property
    def reach(self) -> int:
        """The greatest distance up to which 1 % of dL/dstate or more arrives at every step."""
        faint = torch.nonzero(self.relative < FAINT)
        return int(faint.min()) - 1 if len(faint) else len(self.relative) - 1

    @property
    def verdict(self) -> Verdict:
        """Over the whole sequence: "vanishing" if less than 1 % of dL/dstate arrives at the first
        step, "exploding" if more than 100 times of it, or more than float64 can hold; "carried"
        otherwise.

        It is about these sequences: what a rate of 0.95 carries over 35 steps, it loses over 350.
        """
        arrives = float(self.relative[-1])
        if arrives < FAINT:
            return "vanishing"
        return "carried" if arrives <= 1 / FAINT else "exploding"

    def __str__(self) -> str:
        T = len(self.relative)
        return (
            f"{self.layer} ({self.kind}): {self.verdict}; times {self.rate:.3g} at each step "
            f"back, {self.relative[-1]:.3g} of it arrives {T - 1} steps back"
        )


@torch.inference_mode(False)
def gradient_flow(
    module: nn.Module,
    x: Tensor | PackedSequence,
    hx: Any = None,
    *,
    lengths: Tensor | Sequence[int] | None = None,
    layer: str | None = None,
    loss: Loss = None,
    directions: int = 16,
) -> GradientFlow:
    """How a loss on a layer's last hidden state reaches back to each earlier step.

    Along the state of an LSTM a gradient passes from step to step multiplied by the forget gate
    alone, dL/dc_t = f_{t+1} * dL/dc_{t+1} + ...: the constant error carousel of Hochreiter and
    Schmidhuber 1997. All other ways lead through the weights U and the slopes of the gates, where
    it vanishes or explodes (Hochreiter 1991; Bengio, Simard and Frasconi 1994). This measures
    both, on the layer's own sequences, in float64, under the edits that hold (`glasscell.edit`).

    Args:
        module: a `glasscell.LSTM`, `GRU` or `RNN`, or torch.nn's, with the weights it has.
        x, hx, lengths: what it reads, as a Glasscell layer takes it.
        layer: which of its layers and directions, by the name it has in a trace: "l0",
            "l1_reverse". The last one's forward direction if absent.
        loss: what is asked of the layer's last hidden state h_T, at each sequence's end (in a
            reverse layer, at its first step): a function from h_T (B, P) to a number, or dL/dh_T
            itself, (P,) or (B, P). If absent, no loss in particular, but many: see `directions`.
        directions: without a loss, how many directions of unit length on h_T are followed, drawn
            at right angles to each other from a fixed seed. With P or more, the squares of the
            norms are exactly 1/P of the squared Frobenius norms of the Jacobians dh_T/dh_t, ...

    Returns:
        Norms of the gradients at each distance, their growth, and a verdict.

    Raises:
        TypeError: a module that is no such layer.
        InputError: inputs that it would refuse, sequences of a single step, hidden states that are
            not finite, a loss of a wrong shape, a layer that is not there.

    Example:
        >>> flow = analysis.gradient_flow(lstm, x)
        >>> flow.verdict
        'vanishing'
        >>> flow.relative.shape  # which part arrives 0, 1, ..., 34 steps back
        torch.Size([35])
        >>> flow.gates["forget_gate"].shape  # (T, B): row d is d steps before the end
        torch.Size([35, 4])
    """
    run = run_of(module, x, hx, lengths=lengths, layer=layer)
    T, B = run.call.packing.T, run.call.packing.B
    if T < 2 or B == 0:
        raise InputError(f"x: expected sequences of at least 2 steps, got {B} of {T}")
    run.expect_finite()
    d_last = on_last_state(run, loss, directions)  # (B, K, P), longest sequence first
    K = d_last.shape[1]
    sequences = torch.arange(B).repeat_interleave(K)
    ends = run.lengths[sequences]
    found: dict[str, Tensor] = {}  # (B * K, T) by distance
    for some, copies in run.backward_from_ends(sequences, ends, d_last.flatten(0, 1)):
        distance = copies.call.packing.lengths[copies.m] - 1 - copies.t
        for name, values in _norms(run, copies).items():
            whole = found.setdefault(name, torch.full((B * K, T), torch.nan, dtype=torch.float64))
            # where a gradient is beyond float64, its parts may cancel to NaN
            whole[copies.m + some.start, distance] = values.nan_to_num(torch.inf, torch.inf).cpu()

    def callers(name: str) -> Tensor | None:
        """(T, B) in the caller's order, the mean of the directions."""
        if name not in found:
            return None
        per_direction = found[name].view(B, K, T).transpose(0, 1)
        mean = norm(per_direction, 0) / K**0.5  # (B, T)
        order = run.layout.inverse
        return (mean if order is None else mean[order.cpu()]).T.contiguous()

    hidden, through = callers("hidden"), callers("through_gates")
    assert hidden is not None
    assert through is not None
    gates = {gate.name: callers(f"d {gate.name}") for gate in run.cell.gates}
    return GradientFlow(
        layer=run.name,
        kind=run.cell.kind,
        directions=K if loss is None else 0,
        hidden=hidden,
        cell=callers("cell"),
        gates={name: values for name, values in gates.items() if values is not None},
        carried=callers("carried"),
        through_gates=through,
        carousel=callers("carousel"),
    )


def compare_gradient_flow(
    modules: Mapping[str, nn.Module],
    x: Tensor | PackedSequence,
    *,
    lengths: Tensor | Sequence[int] | None = None,
    loss: Loss = None,
    directions: int = 16,
) -> dict[str, GradientFlow]:
    """`gradient_flow` of several layers on the same sequences, side by side.

    Args:
        modules: layers by the name they shall have in the figure.
        x, lengths, loss, directions: as in `gradient_flow`.

    Raises:
        TypeError, InputError: as `gradient_flow`.

    Example:
        The LSTM of 1997 had no forget gate: what it has now is held at 1.

        >>> from copy import deepcopy
        >>> first = deepcopy(lstm)
        >>> modules = {"LSTM": lstm, "LSTM of 1997": first, "GRU": gru, "RNN": rnn}
        >>> with glasscell.edit(first, "l0", "forget_gate", set=1.0):
        ...     flows = analysis.compare_gradient_flow(modules, x)
        >>> [flow.verdict for flow in flows.values()]
        ['vanishing', 'carried', 'vanishing', 'vanishing']
        >>> figure = plots.gradient_flow(flows)
    """
    return {
        name: gradient_flow(module, x, lengths=lengths, loss=loss, directions=directions)
        for name, module in modules.items()
    }


def _norms(run: Run, copies: Copies) -> dict[str, Tensor]:
    """(N,) for each quantity of the result."""
    call, steps, d = copies.call, copies.steps, copies.d
    assert steps.gates is not None
    norms = {"hidden": norm(d.h)}
    d_state = d.of(run.cell.state, run.cell)  # (N, H)
    if run.cell.has_cell_state:
        norms["cell"] = norm(d_state)
    for k, gate in enumerate(run.cell.gates):
        norms[f"d {gate.name}"] = norm(d.gates[:, k])
    keep = keep_of(call, steps)
    if keep is None:
        return {**norms, "through_gates": norm(d_state)}
    along = carried(keep, d_state, call.packing)
    norms["carried"], norms["through_gates"] = norm(along), norm(d_state - along)
    return {**norms, "carousel": norm(all_the_way(keep, d_state, call.packing))}
