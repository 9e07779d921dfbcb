"""Edits of a run: which tokens' quantities are changed, and how; and the gradient of that.

Most edits touch few tokens, or many in the same way. So an edit is a table with a row for each way,
and a note for each token of its row: what is not touched costs nothing.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from glasscell.cells import UNEDITED, StepEdits, composed
from glasscell.engines.noise import step_noise

if TYPE_CHECKING:
    from glasscell.engines.call import Call, StepGradients, Steps


class RunEdit(NamedTuple):
    """One quantity's edit over a run. `cells.edits` says what scale and shift mean."""

    quantity: str  # "forget_gate"
    rows: Tensor  # (N,) int64, on the CPU: each token's row of the tables, -1 where it has none
    scale: Tensor  # (R, H); of a hidden state (R, P)
    shift: Tensor  # like scale

    def of_tokens(self) -> tuple[Tensor, Tensor]:
        """Scale and shift of every token, (N, H) each."""
        rows = self.rows.to(self.scale.device)
        one, zero = torch.ones_like(self.scale[:1]), torch.zeros_like(self.shift[:1])
        # the row that -1 leads to
        return torch.cat((self.scale, one))[rows], torch.cat((self.shift, zero))[rows]

    def then(self, other: "RunEdit") -> "RunEdit":
        """Both edits of one quantity, this one first, as one."""
        # the pairs of rows that occur, with a row at the end of each table for what is not touched
        pairs = (self.rows + 1) * (len(other.scale) + 1) + other.rows + 1
        occurring, rows = pairs.unique(return_inverse=True)
        tables = []
        for edit, at in (
            (self, occurring // (len(other.scale) + 1)),
            (other, occurring % (len(other.scale) + 1)),
        ):
            tables.append(edit._replace(rows=at - 1).of_tokens())
        scale, shift = composed(*tables)
        return RunEdit(self.quantity, rows, scale, shift)


def combined(edits: Sequence[RunEdit]) -> tuple[RunEdit, ...]:
    """One edit for each quantity, from any number of them, in the order in which they act."""
    by_quantity: dict[str, RunEdit] = {}
    for edit in edits:
        before = by_quantity.get(edit.quantity)
        by_quantity[edit.quantity] = edit if before is None else before.then(edit)
    return tuple(by_quantity.values())


def step_edits(edits: Sequence[RunEdit], steps: Sequence[slice]) -> Iterator[StepEdits]:
    """The edits of each step, whose tokens are the rows `steps`."""
    if not edits:
        return (UNEDITED for _ in steps)
    of_tokens = {edit.quantity: edit.of_tokens() for edit in edits}
    return (
        StepEdits({name: (scale[rows], shift[rows]) for name, (scale, shift) in of_tokens.items()})
        for rows in steps
    )


def table_gradients(
    call: "Call", steps: "Steps", d: "StepGradients", needed: Sequence[bool]
) -> list[Tensor | None]:
    """dL/d(each table), scale and shift of each edit in turn, from dL/d(each edited quantity).

    Args:
        needed: for each of them, whether it is asked for.
    """
    found: list[Tensor | None] = []
    own = _own_values(call, steps) if any(needed[::2]) else {}
    for k, edit in enumerate(call.edits):
        wants_scale, wants_shift = needed[2 * k : 2 * k + 2]
        dq = d.of(edit.quantity, call.cell)  # (N, H)
        touched = (edit.rows >= 0).nonzero().squeeze(1).to(dq.device)
        rows = edit.rows.to(dq.device)[touched]

        def summed(
            d_tokens: Tensor, edit: RunEdit = edit, rows: Tensor = rows, at: Tensor = touched
        ) -> Tensor:
            return torch.zeros_like(edit.scale).index_add(0, rows, d_tokens[at].to(edit.scale))

        # where q is replaced, its scale is no number to differ in
        dscale = summed(dq * own[edit.quantity]) if wants_scale else None
        found.append(None if dscale is None else dscale.masked_fill(edit.scale.isnan(), 0))
        found.append(summed(dq) if wants_shift else None)
    return found


def beyond_tables(call: "Call", of_scales: Sequence[bool]) -> bool:
    """Whether `table_gradients` cannot tell dL/d(a scale) that is asked for: with zoneout, an edit
    of the cell state acts on what is shown and on what is held.

    Args:
        of_scales: for each edit, whether it is asked for.
    """
    if call.noise is None or not call.noise.zoneout[0]:
        return False
    edits = zip(call.edits, of_scales, strict=True)
    return any(wanted and edit.quantity in call.cell.carried for edit, wanted in edits)


def _own_values(call: "Call", steps: "Steps") -> dict[str, Tensor]:
    """(N, H) each edited quantity as its equation gave it: every step once more, all at once."""
    packing = call.packing
    h_prev = packing.previous(steps.h, call.h_0, call.reverse)
    c_prev = None
    if steps.c is not None and call.c_0 is not None:
        c_prev = packing.previous(steps.c.to(steps.h.dtype), call.c_0, call.reverse)
    watching = _Watching({edit.quantity: edit.of_tokens() for edit in call.edits})
    (noise,) = step_noise(call, [slice(None)])
    call.cell.step(call.x, h_prev, c_prev, call.weights, watching, noise)
    return watching.own


class _Watching(StepEdits):
    """Edits that take note of what they are given."""

    def __init__(self, of: dict[str, tuple[Tensor, Tensor]]) -> None:
        super().__init__(of)
        self.own: dict[str, Tensor] = {}

    def apply(self, quantity: str, q: Tensor) -> Tensor:
        self.own[quantity] = q
        return super().apply(quantity, q)
