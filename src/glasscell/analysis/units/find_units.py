"""Which unit, or which direction, holds a feature that is known for every step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from glasscell.analysis.units.chance import Shifts, SwappedSequences, Tally
from glasscell.analysis.units.probe import LEAST_FOLDS, Probe, folds_of, probe
from glasscell.analysis.units.rows import Rows, laid_out, rows_of
from glasscell.analysis.units.unit_scores import Measure, label_profile, scored
from glasscell.analysis.whole_numbers import whole_number
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace

FOLDS = 5
WIDTH = 16  # units at a time
PRECISE = 100_000  # up to so many steps, chance is counted in float64


class UnitScore(NamedTuple):
    """One unit's score, and how often chance does as well: for it, and for the best of all."""

    unit: int
    score: float
    p: float
    p_family: float


@dataclass(frozen=True, eq=False)
class FoundUnits:
    """How well each unit, and a direction of all of them, tells a label.

    Attributes:
        name, quantity: the layer and what of it; "" for a plain array.
        measure: "auc", "pearson" or "spearman".
        scores: (H,) float64. AUC: 0 to 1, 0.5 by chance; below, the unit is low where the label
            is on. Correlation: -1 to 1, 0 by chance. A unit that is constant is at chance.
        order: (H,) the units, furthest from chance first; those that are equal by number.
        p: (H,) of how many rearrangements of the labels the unit's score is as far from chance;
            the labels as they are count as one. NaN without a test.
        p_family: (H,) of how many the best of all units is as far: small means that not even the
            best of H units does as well by chance. NaN without a test.
        largest: (R,) how far from chance the best of all units is in each rearrangement; the
            first is the labels as they are. Empty without a test.
        probe: the direction, or None if none was asked for.
        steps: how many steps counted.
    """

    name: str
    quantity: str
    measure: Measure
    scores: Tensor
    order: Tensor
    p: Tensor
    p_family: Tensor
    largest: Tensor
    probe: Probe | None
    steps: int

    @property
    def chance(self) -> float:
        """The score of a unit that knows nothing."""
        return 0.5 if self.measure == "auc" else 0.0

    def best(self, top: int | None = None) -> list[UnitScore]:
        """The units in order, the best first; so many of them, or all."""
        if top is not None:
            top = whole_number("top", top, 0)
        columns = (self.order, *(v[self.order] for v in (self.scores, self.p, self.p_family)))
        rows = zip(*(column[:top].tolist() for column in columns), strict=True)
        return [UnitScore(*row) for row in rows]

    def limit(self, level: float = 0.05) -> float:
        """Scores that are further from chance than this have a `p_family` below the level;
        infinite if there are too few rearrangements for that, NaN without a test.

        Raises:
            InputError: a level that is not between 0 and 1.
        """
        if not 0 <= level <= 1:
            raise InputError(f"level: expected between 0 and 1, got {level}")
        R = len(self.largest)
        if not R:
            return float("nan")
        allowed = int(np.ceil(level * R)) - 1  # so many may reach it
        if allowed < 1:
            return float("inf")
        return float(self.largest.sort(descending=True).values[allowed])


def find_units(
    steps: LayerTrace | Tensor | np.ndarray,
    labels: Tensor | np.ndarray | Sequence,
    quantity: str | None = None,
    *,
    mask: Tensor | np.ndarray | Sequence | None = None,
    measure: Measure | None = None,
    chance: Literal["shift", "sequences"] | None = "shift",
    permutations: int = 999,
    folds: int | Literal["auto"] | None = "auto",
    lengths: Tensor | Sequence[int] | None = None,
    seed: int = 0,
) -> FoundUnits:
    """Finds the units that hold a feature: inside quotes, the position in the line, ...

    Each unit is scored by itself. For labels that are on or off by its AUC, the chance that a step
    where the label is on has the larger value than one where it is off, a tie counting half; for
    numbers by its correlation with them. Scores are exact, ties included, for values as float32
    (float64 where they are stored so).

    Scores are compared with chance by rearranging the labels in ways that keep their course in
    time, as neighbouring steps are alike and not independent. "shift" moves all labels, sequences
    end to end, along a ring, by every number of steps: the p values count all n shifts, so there
    is nothing random in them. "sequences" gives the labels of whole sequences to others with as
    many steps, at random: it asks for more than that a unit and the label both follow the place in
    the sequence. `p_family` corrects for the number of units by the largest score of all
    (Westfall and Young 1993).

    The probe is a direction, found by ridge regression and scored on steps it was not fitted on;
    folds are whole sequences, or long stretches if there are fewer sequences than folds. Its
    penalty is chosen without the fold it is scored on.

    Args:
        steps: a recorded layer; or a plain (N, H) array, which may be a memory map.
        labels: one for each step: booleans, 0 and 1, or numbers. In the layer's layout ((T, B),
            (B, T) with batch_first, (T,)), where steps after a sequence's end do not count; or as
            packed tokens (N,); or a list with the labels of each sequence. NaN leaves a step out.
        quantity: what of the layer; its state if absent.
        mask: true where a step counts, in any layout that labels may have; all if absent.
        measure: "auc", "pearson" or "spearman"; if absent "auc" for labels that are all 0 or 1,
            else "pearson".
        chance: how to rearrange labels, or None for no test.
        permutations: of "sequences", how many; fewer where they would take more than 1 GiB, but
            no fewer than 99.
        folds: K, from 3, or None for no probe. "auto" is 5, and fewer where fewer than 10 steps
            count; of fewer than 6 there is no probe. Fits are made for each pair of folds.
        lengths: (B,) of a plain array, the steps of each sequence, which lie one after the other;
            one sequence if absent.
        seed: of what is random in "sequences".

    Returns:
        Scores, p values and the probe.

    Besides the states, 400 to 600 bytes a step are held while units are scored, whatever H is, and
    some 8 (K + 4) H^2 bytes for the probe.

    Raises:
        InputError: labels of another shape, or all equal; fewer than 4 steps that count; states
            that are not finite.

    Example:
        >>> positive = x[..., 0] > 0  # (T, B), as the layer's own tensors
        >>> found = analysis.find_units(trace["l0"], positive, "input_gate")
        >>> found.measure, found.scores.shape
        ('auc', torch.Size([8]))
        >>> unit, score, p, p_family = found.best()[0]
        >>> p_family < 0.05
        True
        >>> found.probe.score > 0.9  # out of fold, from all units together
        True
    """
    rows = rows_of(steps, quantity, lengths)
    kept, y = _labels(rows, labels, mask)
    measure = _measure(measure, y)
    sizes = np.diff(np.searchsorted(kept, rows.offsets))  # (B,) steps of each that count
    if folds == "auto":
        folds = min(FOLDS, len(kept) // 2)
        folds = folds if folds >= LEAST_FOLDS else None
    fold_rows = None if folds is None else folds_of(sizes, folds)
    permutations = whole_number("permutations", permutations, 1)

    dtype = np.float64 if len(kept) <= PRECISE else np.float32
    profile = label_profile(y, measure).astype(dtype)
    if chance == "shift":
        tally = Tally(Shifts(profile), rows.H)
    elif chance == "sequences":
        tally = Tally(SwappedSequences(profile, sizes, permutations, seed), rows.H)
    elif chance is None:
        tally = None
    else:
        raise InputError(f"chance: expected 'shift', 'sequences' or None, got {chance!r}")

    distance = np.empty(rows.H)
    for first in range(0, rows.H, WIDTH):
        units = slice(first, min(first + WIDTH, rows.H))
        columns = rows.columns(units, kept)
        if not np.isfinite([columns.min(1), columns.max(1)]).all():
            raise InputError(f"steps: expected finite numbers, got others in units {first} on")
        some = scored(columns, y, measure, dtype)
        distance[units] = some.score
        if tally is not None:
            tally.add(units, some.profile, some.scale, some.score)

    order = np.argsort(-np.abs(distance), kind="stable")
    nothing = np.full(rows.H, np.nan)
    return FoundUnits(
        name=rows.name,
        quantity=rows.quantity,
        measure=measure,
        scores=torch.from_numpy(distance + (0.5 if measure == "auc" else 0.0)),
        order=torch.from_numpy(order),
        p=torch.from_numpy(nothing if tally is None else tally.p),
        p_family=torch.from_numpy(nothing if tally is None else tally.family(distance)),
        largest=torch.from_numpy(np.empty(0) if tally is None else tally.largest),
        probe=None
        if fold_rows is None
        else probe(rows, kept, y, fold_rows, is_binary=measure == "auc"),
        steps=len(kept),
    )


def _labels(rows: Rows, labels: object, mask: object) -> tuple[np.ndarray, np.ndarray]:
    """The rows that count, in order, and their labels in float64."""
    laid = laid_out(rows, labels, "labels")
    if laid.dtype.kind not in "biuf":
        raise InputError(f"labels: expected booleans or numbers, got {laid.dtype}")
    y = laid.astype(np.float64)
    counts = ~np.isnan(y)
    if mask is not None:
        counts &= laid_out(rows, mask, "mask").astype(bool)
    kept = np.flatnonzero(counts)
    y = y[kept]
    if len(y) < 4:
        raise InputError(f"labels: expected at least 4 steps that count, got {len(y)}")
    if not np.isfinite(y).all():
        raise InputError("labels: expected finite numbers, or NaN to leave a step out")
    if (y == y[0]).all():
        raise InputError(f"labels: expected two different ones or more, all are {y[0]:g}")
    return kept, y


def _measure(measure: Measure | None, y: np.ndarray) -> Measure:
    is_binary = bool(np.isin(y, (0, 1)).all())
    if measure is None:
        return "auc" if is_binary else "pearson"
    if measure not in ("auc", "pearson", "spearman"):
        raise InputError(f"measure: expected 'auc', 'pearson' or 'spearman', got {measure!r}")
    if measure == "auc" and not is_binary:
        raise InputError("measure: expected 'pearson' or 'spearman' for labels other than 0 and 1")
    return measure
