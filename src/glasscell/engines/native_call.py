"""What the kernels are told of a call besides its tensors: sizes, edits, noise, what to keep."""

import torch
from torch import Tensor

from glasscell.cells import RNN, SLSTM, NormalisedGRU, NormalisedLSTM
from glasscell.engines.call import Call
from glasscell.engines.noise import of_tokens
from glasscell.engines.packed import address, contiguous


def sizes_of(call: Call) -> Tensor | None:
    """(T,) the batch sizes, for a ragged batch."""
    return None if call.packing.is_dense else torch.tensor(call.packing.batch_sizes)


def tables_of(call: Call) -> list[tuple[Tensor | None, ...]]:
    """The edits as the kernels read them: for each gate, the cell and the hidden state its rows,
    scale and shift, None where nothing edits it. Nothing at all where there is no edit.
    """
    if not call.edits:
        return []
    # an RNN's only gate is its hidden state, which is edited once
    gates = [gate.name for gate in call.cell.gates if gate.name != "hidden"]
    slots = [*gates, *[""] * (4 - len(gates)), "cell", "hidden", "normalizer", "stabilizer"]
    found = {edit.quantity: edit for edit in call.edits}
    tables: list[tuple[Tensor | None, ...]] = []
    for slot in slots:
        edit = found.get(slot)
        tables.append((None,) * 3 if edit is None else tuple(map(contiguous, edit[1:])))
    return tables


def needs_pre(call: Call) -> bool:
    """Whether the backward asks for what went into the squashes: where it does not follow from
    what came out, because that was edited or drawn, or, in an RNN, held. Of an LSTM's drawn gates
    it asks for their odds.
    """
    if call.edits:
        return True
    noise, cell = call.noise, call.cell
    if noise is None:
        return False
    drawn = _drawn_by_odds(call) and cell.kind != "lstm"
    return drawn or (isinstance(cell, RNN) and bool(noise.zoneout[1]))


def _drawn_by_odds(call: Call) -> bool:
    """Whether gates are drawn to be 0 or 1, so that their values do not tell their odds."""
    drawn = call.noise is not None and call.noise.training
    return drawn and any(gate.stochastic == "bernoulli" for gate in call.cell.gates)


def width_of_q(call: Call) -> int:
    """How many more numbers of each step the backward asks for: what a GRU's reset gate resets;
    what goes into an sLSTM's forget gate, which its value, an exponential, does not give back, and
    where its cell is held what its stabilizer would be without, less what it is; the odds of an
    LSTM's drawn gates; both normalised terms of a layer-normalised cell, and what they were divided
    by.
    """
    cell, H = call.cell, call.H
    if cell.kind == "lstm":
        is_asked = _drawn_by_odds(call) and not call.edits
        return H * sum(gate.stochastic is not None for gate in cell.gates) if is_asked else 0
    if isinstance(cell, (NormalisedLSTM, NormalisedGRU)):
        return 2 * cell.G * H + 16
    if isinstance(cell, SLSTM):
        return 2 * H if call.noise is not None and call.noise.zoneout[0] else H
    return H if cell.kind == "gru" and cell.gates_in("U") else 0


def mask_of(call: Call) -> Tensor | None:
    return None if call.noise is None else contiguous(call.noise.mask)


def chance_of(call: Call, mask: Tensor | None) -> tuple[int, bool, float, float, int] | None:
    """The noise of a run as the kernels take it."""
    noise = call.noise
    if noise is None or not noise.acts_on(call.cell):
        return None
    cell, hidden = noise.zoneout
    cell = cell if call.cell.has_cell_state else 0.0
    return noise.seed, noise.training, cell, hidden, address(mask)


def read_of(call: Call, h: Tensor, h_0: Tensor) -> tuple[Tensor, Tensor]:
    """What products read of h and h_0: the same, or masked."""
    if call.noise is None or call.noise.mask is None:
        return h, h_0
    mask = call.noise.mask
    return h * of_tokens(call, mask), h_0 * mask


def addresses_of(tables: list[tuple[Tensor | None, ...]]) -> list[int]:
    """Of each edit rows, scale and shift, and after them how many rows the tables have."""
    return [
        number
        for rows, scale, shift in tables
        for number in (
            address(rows),
            address(scale),
            address(shift),
            0 if scale is None else len(scale),
        )
    ]
