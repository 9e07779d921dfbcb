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
    cell, N, H, P = call.cell, call.packing.N, call.H, call.weights.U.shape[1]
    drawn = [gate.name for gate in cell.gates if gate.stochastic]
    draws: dict[str, Tensor] = {}
    if noise.training and drawn:
        numbers = _numbers(noise.seed, N, H, 0, len(drawn), call.x)
        draws = dict(zip(drawn, numbers, strict=False))
    states = {"hidden": P} | ({"cell": H} if cell.has_cell_state else {})
    stays = {state: what_stays(noise, state, N, width, call.x) for state, width in states.items()}
    return draws, {state: k for state, k in stays.items() if k is not None}


def what_stays(
    noise: RunNoise, state: str, N: int, width: int, like: Tensor
) -> Tensor | float | None:
    """How much of "cell" or "hidden" zoneout keeps as it was: (N, width) of every token and unit,
    or one number for all; None where there is no zoneout of it.

    Args:
        like: what has the dtype and device of the result.
    """
    place = 0 if state == "cell" else 1
    rate = noise.zoneout[place]
    if not rate:
        return None
    if not noise.training:
        return rate
    return (_numbers(noise.seed, N, width, 1, 2, like)[place] < rate).to(like.dtype)


def _numbers(seed: int, N: int, width: int, block: int, count: int, like: Tensor) -> list[Tensor]:
    """Uniform numbers (N, width) for each token and unit: `count` of them, up to four.

    Where two do, two neighbouring units share the four of one counter: half the work.
    """
    token = torch.arange(N, device=like.device)[:, None]
    unit = torch.arange(width, device=like.device)
    place = (token & 0xFFFFFFFF, token >> 32)
    if count > 2:
        return [uniform(word) for word in philox((*place, unit, block), seed, like)]
    words = philox((*place, unit // 2, block), seed, like)
    return [uniform(torch.where(unit % 2 == 0, words[k], words[2 + k])) for k in range(2)]
