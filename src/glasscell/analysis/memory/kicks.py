"""How long a kick to one unit's memory survives, measured on the network as it runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from glasscell.analysis.state_space.driven_run import DrivenRun
from glasscell.cells import Weights
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace

MOST_NUMBERS = 2**20  # in the gates of the copies that run side by side


@dataclass(frozen=True, eq=False)
class KickSurvival:
    """What is left of a kick n steps later, n = 0 .. K, as a part of the kick; everything float64.

    Attributes:
        units: (U,) the units that were kicked, one at a time.
        own: (K + 1, U) the change that is left in the kicked unit's own memory (c in an LSTM, h
            in others), its size averaged over the times of the kick. 1 at first.
        whole: (K + 1, U) the length of the change of the whole state, (h, c) or h. It may grow
            above 1: other units can hold on to what the kicked one has passed to them.
        carousel: (K + 1, U) what the gates alone would leave of it, the mean product of f (of z
            in a GRU) over the steps since. None for an RNN. Where `own` is above it, what
            comes back through the recurrent weights keeps the memory up.
        times: over how many times of the kick it is averaged.
    """

    units: Tensor
    own: Tensor
    whole: Tensor
    carousel: Tensor | None
    times: int

    @property
    def window(self) -> int:
        """K, the last step that was looked at."""
        return len(self.own) - 1

    def steps(
        self, level: float = 1 / math.e, of: Literal["own", "whole", "carousel"] = "own"
    ) -> Tensor:
        """(U,) steps until less than `level` is left for the first time.

        Between two steps the curve is taken to fall at a constant rate. Infinite where more is
        left throughout: the memory is longer than the window.

        Raises:
            InputError: a level that is not between 0 and 1, or no such curve.
        """
        if not 0 < level < 1:
            raise InputError(f"level: expected between 0 and 1, got {level}")
        curve = {"own": self.own, "whole": self.whole, "carousel": self.carousel}.get(of)
        if curve is None:
            names = "'own', 'whole'" + ("" if self.carousel is None else ", 'carousel'")
            raise InputError(f"of: expected one of {names}, got {of!r}")
        below = curve < level
        n = below.to(torch.uint8).argmax(0).clamp(min=1)  # the first below, (U,)
        before, after = curve.gather(0, n[None] - 1)[0], curve.gather(0, n[None])[0]
        part = (before / level).log() / (before / after).log()
        return torch.where(below.any(0), n - 1 + part, math.inf)


def kick_survival(
    model: nn.Module | Weights,
    run: Tensor | PackedSequence | LayerTrace,
    *,
    layer: str | None = None,
    units: Sequence[int] | None = None,
    window: int | None = None,
    size: float | Tensor = 1e-3,
    times: int = 16,
) -> KickSurvival:
    """How much of a kick to each unit's memory is left after n steps.

    At several times of the run, size is added to one unit's memory, c_j in an LSTM, h_j in a GRU
    or RNN. The layer then runs on from there with the same input, beside a copy that was not
    kicked, and the difference of the two is followed. This is the memory that the network really
    has: gates that react to the kick and the way round through the recurrent weights count,
    which `memory_span` cannot see. All units and times run as one batch, in float64.

    Args:
        model: the model that was recorded, its layer by itself, or the layer's weights.
        run: the recorded layer; or an input for the model to read now.
        layer: with an input, which layer, by its name in a trace; needed if there are several.
        units: which units to kick; all if absent.
        window: K, for how many steps to follow; half of the longest sequence if absent.
        size: of the kick, in the units of the memory, or (H,) one for each unit. A small kick
            gives the derivative of the later state by the earlier; a large one, such as -c_j's
            usual size, what is noticed of losing it.
        times: at how many times to kick, spread evenly over all steps of all sequences that
            have K steps after them; fewer if there are fewer.

    Raises:
        InputError: no sequence that is longer than the window, a unit that is not there, a size
            of 0, or a layer that is not the model's.

    Example:
        >>> with glasscell.trace(lstm) as trace:
        ...     y = lstm(x)
        >>> kicks = analysis.kick_survival(lstm, trace["l0"], window=12)
        >>> kicks.own.shape  # (K + 1, H)
        torch.Size([13, 8])
        >>> bool((kicks.steps() < 12).all())  # steps until 1/e is left, unit by unit
        True
    """
    driven = DrivenRun.of(model, run, layer)
    step, H = driven.map, driven.map.H
    chosen = torch.tensor(range(H) if units is None else list(units), dtype=torch.int64)
    wrong = [unit for unit in chosen.tolist() if not 0 <= unit < H]
    if wrong or not len(chosen):
        raise InputError(f"units: expected some of 0 to {H - 1}, got {wrong or 'none'}")
    sizes = torch.as_tensor(size, dtype=torch.float64)
    if sizes.shape not in ((), (H,)) or not bool((sizes.isfinite() & (sizes != 0)).all()):
        raise InputError(f"size: expected a number that is not 0, or ({H},) of them, got {size}")
    rows = _rows(driven, window, times)  # (n, K + 1): of the kick, and of the steps after it
    n, K = len(rows), rows.shape[1] - 1
    drive = driven.drive[rows[:, 1:]]  # (n, K, G*H)
    at = driven.after[rows[:, 0]]  # (n, S)
    sizes = sizes.expand(H)[chosen].to(at.device)
    own, whole = at.new_ones(K + 1, len(chosen)), at.new_ones(K + 1, len(chosen))
    share = max(1, MOST_NUMBERS // (n * drive.shape[-1]))
    for part in torch.arange(len(chosen)).split(share):
        places = chosen[part].to(at.device) + step.memory.start  # of the kicked memories in a state
        copy = torch.arange(len(part), device=at.device)
        s = at[:, None].repeat(1, len(part) + 1, 1)  # (n, U + 1, S): the last is not kicked
        s[:, copy, places] += sizes[part]
        for k in range(K):
            s = step(drive[:, k], s)
            change = (s[:, :-1] - s[:, -1:]) / sizes[part][:, None]  # (n, U, S)
            own[k + 1, part] = change[:, copy, places].abs().mean(0)
            whole[k + 1, part] = change.norm(dim=-1).mean(0)
    return KickSurvival(chosen, own, whole, _carousel(driven, rows, chosen), n)


def _rows(driven: DrivenRun, window: int | None, times: int) -> Tensor:
    """(n, K + 1) the tokens at which to kick, and the K that the recurrence visits after each."""
    packing, reverse = driven.packing, driven.trace.reverse
    window = max(1, packing.T // 2) if window is None else window
    if not 1 <= window < packing.T:
        raise InputError(
            f"window: expected 1 to {packing.T - 1}, less than the {packing.T} steps of the "
            f"longest sequence, got {window}"
        )
    if times < 1:
        raise InputError(f"times: expected at least 1, got {times}")
    t, b = packing.step_and_sequence()
    left = t if reverse else packing.lengths[b] - 1 - t  # steps after each token
    able = torch.nonzero(left >= window)[:, 0]
    n = min(times, len(able))
    picked = able[((torch.arange(n) + 0.5) * len(able) / n).long()]
    after = torch.arange(window + 1) * (-1 if reverse else 1)
    return torch.tensor(packing.offsets)[t[picked, None] + after] + b[picked, None]


def _carousel(driven: DrivenRun, rows: Tensor, units: Tensor) -> Tensor | None:
    """(K + 1, U) the mean product of what the keeping gate lets stay, from the kick on."""
    trace = driven.trace
    gates = torch.stack([trace.tokens(gate.name) for gate in trace.gate_maps], -2)
    carried = trace.definition.carry(gates.detach().double())
    if carried is None:
        return None
    keep = carried[0][rows[:, 1:]][..., units]  # (n, K, U)
    return torch.cat((torch.ones_like(keep[:, :1]), keep.cumprod(1)), 1).mean(0)
