"""What a layer may be told besides torch.nn's arguments: its cell, chance, and first weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from glasscell.cells import Cell, Custom, GateMap, Weights, spec
from glasscell.engines.noise import RunNoise
from glasscell.errors import InputError

Stochastic = Sequence[str] | Mapping[str, str]


class LayerOptions(TypedDict, total=False):
    """The keyword arguments that `LSTM`, `GRU` and `RNN` share with `Recurrent`."""

    cell: Cell | str
    engine: str
    stochastic: Stochastic
    zoneout: float | tuple[float, float]
    recurrent_dropout: float
    weight_dropout: float
    init: str
    forget_bias: float | None
    chrono: float | None


def cell_of(cell: Cell | str, stochastic: Stochastic) -> Cell:
    """The cell that a layer runs.

    Args:
        cell: as `cells.named` takes it.
        stochastic: gates that are drawn, "forget" or "forget_gate"; or how each is drawn,
            {"forget": "gumbel"}.

    Raises:
        InputError: no such cell or gate.
        TypeError: something else than a name, a line or a `Cell`.
    """
    if isinstance(cell, str) and "+" in cell:
        raise InputError(
            f"cell: a layer takes its options beside the cell, as zoneout=0.1, got {cell!r}"
        )
    try:
        cell = spec.named(cell)
        hows = drawn_gates(stochastic)
        return _drawn(cell, hows) if hows else cell
    except ValueError as error:
        raise InputError(str(error)) from None


def drawn_gates(stochastic: Stochastic) -> dict[str, str]:
    """How each gate that is drawn is drawn.

    Raises:
        ValueError: no names of gates, or none of the ways there are.
    """
    if isinstance(stochastic, Mapping):
        hows = dict(stochastic)
    elif isinstance(stochastic, (str, Sequence)):
        names = (stochastic,) if isinstance(stochastic, str) else stochastic
        hows = dict.fromkeys(names, "bernoulli")
    else:
        raise ValueError(f"stochastic: expected names of gates, got {stochastic!r}")
    if wrong := [how for how in hows.values() if how not in ("bernoulli", "gumbel")]:
        raise ValueError(f'stochastic: expected "bernoulli" or "gumbel", got {wrong[0]!r}')
    return hows


def _drawn(cell: Cell, hows: Mapping[str, str]) -> Cell:
    """The same cell, some of whose gates are drawn."""
    if isinstance(cell, Custom):
        raise ValueError(
            "stochastic: a step of one's own says it in its gate maps, GateMap(..., "
            'stochastic="bernoulli")'
        )
    own: dict[str, GateMap] = {}
    for field in fields(cell):  # type: ignore[arg-type]
        if isinstance(gate := getattr(cell, field.name), GateMap):
            own[field.name] = gate
    changed: dict[str, Any] = {}
    for name, how in hows.items():
        field = name if name in own else f"{name}_gate"
        if field not in own:
            there = [gate.removesuffix("_gate") for gate, g in own.items() if g.opens]
            told = f"has the gates {', '.join(there)}" if there else "has no gates that open"
            raise ValueError(f"stochastic: this cell {told}, got {name!r}")
        changed[field] = replace(own[field], stochastic=how)
    return replace(cell, **changed)  # type: ignore[type-var]


@dataclass(frozen=True)
class Chance:
    """The regularisers of a layer's recurrence: how often each acts, in training.

    Attributes:
        zoneout: of a unit of the cell, and of the hidden state, that it stays as it was at a step
            (Krueger et al. 2017). Outside training the expectation is taken.
        recurrent_dropout: of a unit, that no product reads it, for a whole sequence
            (Gal and Ghahramani 2016); the others count 1 / (1 - p).
        weight_dropout: of a recurrent weight, that it is 0, for a whole batch (Merity et al. 2018).
    """

    zoneout: tuple[float, float] = (0.0, 0.0)
    recurrent_dropout: float = 0.0
    weight_dropout: float = 0.0

    @classmethod
    def of(
        cls,
        cell: Cell,
        zoneout: float | tuple[float, float],
        recurrent_dropout: float,
        weight_dropout: float,
    ) -> "Chance":
        """From what a person says; one rate of zoneout is for both states.

        Raises:
            InputError: no probability.
        """
        pair = tuple(zoneout) if isinstance(zoneout, (tuple, list)) else (zoneout, zoneout)
        if len(pair) != 2:
            raise InputError(f"zoneout: expected one rate, or two (cell, hidden), got {zoneout}")
        if not isinstance(zoneout, (tuple, list)) and not cell.has_cell_state:
            pair = (0.0, pair[1])
        rates = {"zoneout": pair, "recurrent_dropout": (recurrent_dropout,)}
        for name, values in {**rates, "weight_dropout": (weight_dropout,)}.items():
            for value in values:
                if not isinstance(value, Real) or isinstance(value, bool):
                    raise InputError(f"{name}: expected a probability, got {value!r}")
                if not 0 <= float(value) < 1:
                    raise InputError(f"{name}: expected at least 0 and less than 1, got {value}")
        if pair[0] and not cell.has_cell_state:
            raise InputError(f"zoneout: {cell.noun} has no cell state, got {zoneout}")
        through_u = bool(cell.gates_in("U"))
        of_own = any("h_own" in gate.reads for gate in cell.gates)
        if recurrent_dropout and not (through_u or of_own):
            raise InputError(
                f"recurrent_dropout: no gate of this cell reads h_{{t-1}}, got {recurrent_dropout}"
            )
        if weight_dropout and not through_u:
            raise InputError(
                f"weight_dropout: this cell has no recurrent matrix, got {weight_dropout}"
            )
        return cls(
            (float(pair[0]), float(pair[1])), float(recurrent_dropout), float(weight_dropout)
        )

    def noise(self, cell: Cell, h_0: Tensor, training: bool) -> RunNoise | None:
        """The noise of one run of one layer in one direction, from torch's generator.

        Args:
            h_0: (B, P), for the number of sequences and of what they read.
        """
        if not training:
            return RunNoise(training=False, zoneout=self.zoneout) if any(self.zoneout) else None
        mask = None
        if self.recurrent_dropout:
            mask = _mask(h_0, self.recurrent_dropout)
        if not cell.is_stochastic and not any(self.zoneout):
            return None if mask is None else RunNoise(mask=mask)
        seed = int(torch.randint(2**63 - 1, ()))
        return RunNoise(seed, zoneout=self.zoneout, mask=mask)

    def weights(self, w: Weights, training: bool) -> Weights:
        """The weights of one run."""
        if not self.weight_dropout or not training:
            return w
        return w._replace(U=w.U * _mask(w.U, self.weight_dropout))


def _mask(like: Tensor, p: float) -> Tensor:
    """0 with probability p, else 1 / (1 - p).

    On the CPU torch's dropout draws its numbers one by one, and `rand` several at once.
    """
    if not like.is_cpu:
        return F.dropout(torch.ones_like(like), p)
    stays = torch.rand(like.shape, dtype=torch.float32, device=like.device) >= p
    return stays.to(like.dtype).div_(1 - p)
