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
    cell, H = call.cell, call.H
    rates = {"cell": noise.zoneout[0] if cell.has_cell_state else 0.0, "hidden": noise.zoneout[1]}
    rates = {state: rate for state, rate in rates.items() if rate}
    if not noise.training:
        return {}, dict(rates)
    drawn = [gate.name for gate in cell.gates if gate.stochastic]
    of_gates = _numbers(call, noise, H, 0, len(drawn)) if drawn else []
    draws = dict(zip(drawn, of_gates, strict=False))
    stays: dict[str, Tensor | float] = {}
    for state, rate in rates.items():
        width = call.weights.U.shape[1] if state == "hidden" else H
        number = _numbers(call, noise, width, 1, 2)[0 if state == "cell" else 1]
        stays[state] = (number < rate).to(call.x.dtype)
    return draws, stays


def _numbers(call: "Call", noise: RunNoise, width: int, block: int, count: int) -> list[Tensor]:
    """Uniform numbers (N, width) for each token and unit: `count` of them, up to four.

    Where two do, two neighbouring units share the four of one counter: half the work.
    """
    token = torch.arange(call.packing.N, device=call.x.device)[:, None]
    unit = torch.arange(width, device=call.x.device)
    place = (token & 0xFFFFFFFF, token >> 32)
    if count > 2:
        return [uniform(word) for word in philox((*place, unit, block), noise.seed, call.x)]
    words = philox((*place, unit // 2, block), noise.seed, call.x)
    return [uniform(torch.where(unit % 2 == 0, words[k], words[2 + k])) for k in range(2)]
