"""The noise of a run: what chance does in it, said by a seed and some rates.

Nothing random is handed to an engine but the seed. Each draws its numbers by their place
(`philox`): from the seed, the token's row, the unit, and which of the quantities it is for.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from glasscell.cells import NOISELESS, Cell, StepNoise
from glasscell.engines.philox import philox, uniform

if TYPE_CHECKING:
    from glasscell.engines.call import Call


class RunNoise(NamedTuple):
    """The noise of one call.

    Attributes:
        seed: 64 bits.
        training: whether gates are drawn, and states held by lot; else expectations are taken.
        zoneout: how often a unit of the cell, and of the hidden state, stays as it was.
        mask: (B, P) what products read of h_{t-1}, longest sequence first, or None: all.
    """

    seed: int = 0
    training: bool = True
    zoneout: tuple[float, float] = (0.0, 0.0)
    mask: Tensor | None = None

    def acts_on(self, cell: Cell) -> bool:
        """Whether it changes anything."""
        drawn = self.training and cell.is_stochastic
        return drawn or any(self.zoneout) or self.mask is not None


def gate_words(cell: Cell) -> dict[str, int]:
    """For each stochastic gate, which of the four words of a token and unit is its draw."""
    return {gate.name: k % 4 for k, gate in enumerate(cell.gates) if gate.stochastic}


def step_noise(call: "Call", steps: Sequence[slice]) -> Iterator[StepNoise]:
    """The noise of each step, whose tokens are the rows `steps`."""
    noise = call.noise
    if noise is None or not noise.acts_on(call.cell):
        return (NOISELESS for _ in steps)
    draws, stays = _of_tokens(call, noise)
    mask = None if noise.mask is None else of_tokens(call, noise.mask)

    def rows_of(numbers: Tensor | float, rows: slice) -> Tensor | float:
        return numbers[rows] if isinstance(numbers, Tensor) else numbers

    return (
        StepNoise(
            {name: u[rows] for name, u in draws.items()},
            {name: rows_of(k, rows) for name, k in stays.items()},
            None if mask is None else mask[rows],
        )
        for rows in steps
    )


def of_tokens(call: "Call", of_sequences: Tensor) -> Tensor:
    """(N, P) of every token what is its sequence's, from (B, P)."""
    packing = call.packing
    if packing.is_dense:
        return of_sequences.expand(packing.T, *of_sequences.shape).reshape(packing.N, -1)
    return torch.cat([of_sequences[:b] for b in packing.batch_sizes])


def _of_tokens(
    call: "Call", noise: RunNoise
) -> tuple[dict[str, Tensor], dict[str, Tensor | float]]:
    """What `StepNoise` says, of all tokens."""
    cell, N, H = call.cell, call.packing.N, call.H
    rates = {"cell": noise.zoneout[0] if cell.has_cell_state else 0.0, "hidden": noise.zoneout[1]}
    rates = {state: rate for state, rate in rates.items() if rate}
    if not noise.training:
        return {}, dict(rates)
    token = torch.arange(N, device=call.x.device)[:, None]

    def words(width: int, block: int) -> list[Tensor]:
        unit = torch.arange(width, device=call.x.device)
        return philox((token & 0xFFFFFFFF, token >> 32, unit, block), noise.seed, call.x)

    draws: dict[str, Tensor] = {}
    if found := gate_words(cell):
        of_gates = words(H, 0)
        draws = {name: uniform(of_gates[k]) for name, k in found.items()}
    stays: dict[str, Tensor | float] = {}
    for state, rate in rates.items():
        width = call.weights.U.shape[1] if state == "hidden" else H
        word = words(width, 1)[0 if state == "cell" else 1]
        stays[state] = (uniform(word) < rate).to(call.x.dtype)
    return draws, stays
