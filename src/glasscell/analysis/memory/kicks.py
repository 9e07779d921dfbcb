"""How long a kick to one unit's memory survives, measured on the network as it runs."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from glasscell.analysis.state_space.driven_run import DrivenRun
from glasscell.analysis.whole_numbers import whole_number
from glasscell.cells import Weights
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace

MOST_NUMBERS = 2**20  # in the gates of the copies that run side by side
# What is done if nothing else is asked for: in multiplications with recurrent weights, 3 s on
# one core; at how many times, of what the window leaves; and for how many steps.
WORK = 2**35
TIMES, ENOUGH_TIMES = 16, 4
LONGEST, LEAST = 1000, 32


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
        hidden_size: H of the layer; None if not known.
    """

    units: Tensor
    own: Tensor
    whole: Tensor
    carousel: Tensor | None
    times: int
    hidden_size: int | None = None

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
    times: int | None = None,
) -> KickSurvival:
    """How much of a kick to each unit's memory is left after n steps.

    At several times of the run, size is added to one unit's memory, c_j in an LSTM, h_j in a GRU
    or RNN. The layer then runs on from there with the same input, beside a copy that was not
    kicked, and the difference of the two is followed. This is the memory that the network really
    has: gates that react to the kick and the way round through the recurrent weights count,
    which `memory_span` cannot see. All units and times run side by side, in float64.

    The work is U * G * H^2 multiplications (U units of H, G gates) for each step of the window and
    each time. Window and times are chosen such that it takes some 3 seconds of one core at most:
    500 steps at 16 times for 64 LSTM units, 127 steps at 4 times for 256. The least of both, 32
    steps at a single time, takes longer from some 650 units on: there `units` cuts it down.

    Args:
        model: the model that was recorded, its layer by itself, or the layer's weights.
        run: the recorded layer; or an input for the model to read now.
        layer: with an input, which layer, by its name in a trace; needed if there are several.
        units: which units to kick; all if absent.
        window: K, for how many steps to follow; if absent half of the longest sequence, at most
            1000, and as many as the work allows. `KickSurvival.window` has it.
        size: of the kick, in the units of the memory, or (H,) one for each unit. A small kick
            gives the derivative of the later state by the earlier; a large one, such as -c_j's
            usual size, what is noticed of losing it.
        times: at how many times to kick, spread evenly over all steps of all sequences that
            have K steps after them; fewer if there are fewer. If absent 16, or as many as the
            work allows. `KickSurvival.times` has it.

    Raises:
        InputError: no sequence that is longer than the window, a unit that is not there, a size
            of 0, a layer that is not the model's, or a run under an edit or with NaN in it.

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
    chosen = torch.tensor(_units(units, H))
    sizes = torch.as_tensor(size, dtype=torch.float64)
    if sizes.shape not in ((), (H,)) or not bool((sizes.isfinite() & (sizes != 0)).all()):
        raise InputError(f"size: expected a number that is not 0, or ({H},) of them, got {size}")
    window, times = _extent(driven, window, times, len(chosen))
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
    return KickSurvival(chosen, own, whole, _carousel(driven, rows, chosen), n, H)


def _units(given: Sequence[int] | None, H: int) -> list[int]:
    if given is None:
        return list(range(H))
    try:
        units = [operator.index(unit) for unit in given]
    except TypeError:
        raise InputError(f"units: expected some of 0 to {H - 1}, got {given!r}") from None
    wrong = [unit for unit in units if not 0 <= unit < H]
    if wrong or not units:
        raise InputError(f"units: expected some of 0 to {H - 1}, got {wrong or 'none'}")
    return units


def _extent(
    driven: DrivenRun, window: int | None, times: int | None, units: int
) -> tuple[int, int]:
    """For how many steps to follow, and at how many times to kick."""
    T = driven.packing.T
    if T < 2:
        raise InputError(f"run: expected a sequence of at least 2 steps, got {T}")
    w = driven.map.weights
    products = [each for each in (w.U, w.V, w.S) if each is not None]
    numbers = sum(each.numel() for each in products) or driven.map.size
    one = (units + 1) * numbers  # of a step, at one time
    if window is None:
        many = ENOUGH_TIMES if times is None else whole_number("times", times, 1)
        window = min(T // 2, LONGEST, max(LEAST, WORK // (one * many)))
    else:
        why = f", less than the {T} steps of the longest sequence"
        window = whole_number("window", window, 1, T - 1, why)
    if times is None:
        times = min(TIMES, max(1, WORK // (one * window)))
    return window, whole_number("times", times, 1)


def _rows(driven: DrivenRun, window: int, times: int) -> Tensor:
    """(n, K + 1) the tokens at which to kick, and the K that the recurrence visits after each."""
    packing, reverse = driven.packing, driven.trace.reverse
    t, b = packing.step_and_sequence()
    left = t if reverse else packing.lengths[b] - 1 - t  # steps after each token
    able = torch.nonzero(left >= window)[:, 0]
    n = min(times, len(able))
    picked = able[((torch.arange(n) + 0.5) * len(able) / n).long()]
    after = torch.arange(window + 1) * (-1 if reverse else 1)
    return torch.tensor(packing.offsets)[t[picked, None] + after] + b[picked, None]


def _carousel(driven: DrivenRun, rows: Tensor, units: Tensor) -> Tensor | None:
    """(K + 1, U) the mean product of what the keeping gate lets stay, from the kick on."""
    carried = driven.trace.carry(torch.float64)
    if carried is None:
        return None
    keep = carried[0].detach()[rows[:, 1:]][..., units]  # (n, K, U)
    return torch.cat((torch.ones_like(keep[:, :1]), keep.cumprod(1)), 1).mean(0)
