"""A linear direction that holds a label: ridge regression by normal equations, cross-validated.

One pass over the states finds out how large each unit is; a second takes the second moments of each
fold, and every fit and every choice of a penalty is then made from these alone. A third reads the
states along the directions found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glasscell.analysis.units.rows import CHUNK, Rows
from glasscell.analysis.units.unit_scores import auc
from glasscell.analysis.whole_numbers import whole_number
from glasscell.errors import InputError

LEAST_FOLDS = 3  # for each that is scored, two among which a penalty is chosen
PENALTIES = tuple(10.0**k for k in range(-5, 3))


@dataclass(frozen=True, eq=False)
class Probe:
    """A direction in the space of the units along which the label can be read.

    Attributes:
        weights: (H,) float64, what to multiply each unit's value with.
        bias: what to add.
        score: how well directions found without a fold tell the labels of it: the mean of
            `by_fold`, where it is defined.
        by_fold: (K,) the AUC (0.5 is chance) for two classes, else R^2 (0 is chance, and it may
            be below). NaN for a fold whose labels are all equal.
        measure: "auc" or "r2".
        penalty: the one that was chosen for the whole data.
    """

    weights: Tensor
    bias: float
    score: float
    by_fold: Tensor
    measure: str
    penalty: float

    def __call__(self, values: Tensor) -> Tensor:
        """(..., H) states -> (...) what the probe reads there."""
        return values.detach().double() @ self.weights.to(values.device) + self.bias


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over steps of the states x (H,) and their labels y, as a `Frame` sees them."""

    n: float
    x: Tensor
    y: float
    xx: Tensor
    xy: Tensor
    yy: float

    def __add__(self, other: "Moments") -> "Moments":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Moments(*(one + two for one, two in pairs))

    def __sub__(self, other: "Moments") -> "Moments":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Moments(*(one - two for one, two in pairs))

    def fits(self, penalties: Sequence[float], least: Tensor) -> list[tuple[Tensor, float]]:
        """Ridge regression on these steps: weights and bias for each penalty.

        The states are first brought to variance 1, and the penalty is one on the mean square
        error: |y - X w|^2 / n + penalty |w|^2.

        Args:
            least: (H,) variances no larger than this are none: those units get no weight.
        """
        mean, mean_y = self.x / self.n, self.y / self.n
        covariance = self.xx / self.n - torch.outer(mean, mean)
        variance = covariance.diagonal()
        inverse = torch.where(variance > least, variance, torch.inf).rsqrt()
        R = covariance * torch.outer(inverse, inverse)
        c = (self.xy / self.n - mean * mean_y) * inverse
        found = []
        for penalty in penalties:
            # Where rounding has made R indefinite beyond the penalty, a larger one will do.
            penalised = R.clone()
            penalised.diagonal().add_(penalty)
            factor, failed = torch.linalg.cholesky_ex(penalised)
            w = torch.zeros_like(c) if failed else torch.cholesky_solve(c[:, None], factor)[:, 0]
            w = w * inverse
            found.append((w, float(mean_y - w @ mean)))
        return found

    def squared_error(self, weights: Tensor, bias: float) -> float:
        """The sum over these steps of (y - w x - bias)^2."""
        quadratic = weights @ self.xx @ weights
        linear = weights @ (bias * self.x - self.xy)
        rest = self.yy - 2 * bias * self.y + self.n * bias * bias
        return float(quadratic + 2 * linear) + rest


def folds_of(lengths: np.ndarray, folds: int) -> list[np.ndarray]:
    """Row numbers of each fold, none empty: whole sequences, dealt in turn; or, if there are
    fewer sequences than folds, as many stretches of steps that follow one another.

    Args:
        lengths: (B,) steps of each sequence that count.
    """
    N = int(lengths.sum())
    whole_number("folds", folds, LEAST_FOLDS, why=", or None for no probe")
    if 2 * folds > N:
        raise InputError(f"folds: expected no more than half the {N} steps, got {folds}")
    real = lengths[lengths > 0]
    if len(real) < folds:
        return np.array_split(np.arange(N), folds)
    fold = np.repeat(np.arange(len(real)) % folds, real)
    return [np.flatnonzero(fold == k) for k in range(folds)]


def probe(
    rows: Rows,
    kept: np.ndarray,
    labels: np.ndarray,
    folds: Sequence[np.ndarray],
    *,
    is_binary: bool,
    penalties: Sequence[float] = PENALTIES,
) -> Probe:
    """Fits a direction, and says how well such directions do on steps they were not fitted on.

    Args:
        rows: the states.
        kept: (n,) which rows count.
        labels: (n,) theirs.
        folds: for each fold, which of the n it has.
        is_binary: whether labels are 0 and 1, to be scored by AUC.
        penalties: to choose among. For each fold the choice is made on the others, by
            cross-validation among them.
    """
    K = len(folds)
    frame, y_frame = _frame(rows, kept), _label_frame(labels)
    y = y_frame(torch.from_numpy(labels)).numpy()
    least = 1e-13 * (frame.centre / frame.unit) ** 2  # less is the rounding of float32
    by_fold = [_moments(rows, kept[fold], y[fold], frame) for fold in folds]
    total = sum(by_fold[1:], by_fold[0])
    L = len(penalties)
    inner = np.zeros((K, L))  # what each penalty costs when fold k is out of sight
    for k in range(K):
        for j in range(k):
            fits = (total - by_fold[k] - by_fold[j]).fits(penalties, least)
            inner[k] += [by_fold[j].squared_error(*fit) for fit in fits]
            inner[j] += [by_fold[k].squared_error(*fit) for fit in fits]
    outer = np.zeros(L)
    scores = []
    for k in range(K):
        fits = (total - by_fold[k]).fits(penalties, least)
        outer += [by_fold[k].squared_error(*fit) for fit in fits]
        w, bias = fits[int(inner[k].argmin())]
        read = _along(rows, kept[folds[k]], w, frame) + bias
        scores.append(_score(read, y[folds[k]], is_binary))
    penalty = penalties[int(outer.argmin())]
    ((w, bias),) = total.fits([penalty], least)
    defined = [score for score in scores if score == score]
    weights = w * (y_frame.unit / frame.unit)
    at_centre = bias * y_frame.unit + y_frame.centre
    return Probe(
        weights=weights,
        bias=float(at_centre - weights @ frame.centre),
        score=float(np.mean(defined)) if defined else float("nan"),
        by_fold=torch.tensor(scores, dtype=torch.float64),
        measure="auc" if is_binary else "r2",
        penalty=penalty,
    )


def _score(read: np.ndarray, labels: np.ndarray, is_binary: bool) -> float:
    if is_binary:  # 0 and 1, seen from between
        return auc(read, labels > 0)
    spread = ((labels - labels.mean()) ** 2).sum()
    return float(1 - ((labels - read) ** 2).sum() / spread) if spread > 0 else float("nan")


def _pieces(rows: Rows, which: np.ndarray) -> Iterator[tuple[slice, Tensor]]:
    step = max(1, CHUNK // rows.H)
    for first in range(0, len(which), step):
        part = slice(first, min(first + step, len(which)))
        places = rows.at(which[part])
        in_a_run = (np.diff(places) == 1).all()
        yield part, rows.read(slice(places[0], places[-1] + 1) if in_a_run else places)


@dataclass(frozen=True, eq=False)
class Frame:
    """A point in the midst of numbers, and how far they lie from it: from there and in that unit
    their sums lose no digits, and no square leaves the numbers, however large or small they are.

    Attributes:
        centre: (H,) float64.
        unit: (H,) float64, a power of two, by which dividing is exact.
    """

    centre: Tensor
    unit: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """(n, H) values as they are seen from the centre, in their own precision."""
        inverse = (1 / self.unit).to(values.dtype)
        return (values * inverse).sub_((self.centre / self.unit).to(values.dtype))


def _frame(rows: Rows, kept: np.ndarray) -> Frame:
    some = kept[:: max(1, len(kept) // 4096)]
    centre = _mean(rows.read(rows.at(some)).double())
    low, high = torch.full((2, rows.H), torch.inf, dtype=torch.float64)
    high = -high
    for _, values in _pieces(rows, kept):
        low = torch.minimum(low, values.amin(0).double())
        high = torch.maximum(high, values.amax(0).double())
    return Frame(centre, _unit(centre, low, high, 1022 if rows.is_double else 126))


def _label_frame(labels: np.ndarray) -> Frame:
    y = torch.from_numpy(labels)
    centre = _mean(y)
    return Frame(centre, _unit(centre, y.min(), y.max(), 1022))


def _mean(values: Tensor) -> Tensor:
    return (values / len(values)).sum(0)  # the sum of the values themselves may be infinite


def _unit(centre: Tensor, low: Tensor, high: Tensor, most: int) -> Tensor:
    """The power of two above how far values lie from their centre; 1 where they are all there.

    Args:
        most: the largest exponent, up or down, at which its inverse is a number too.
    """
    furthest = torch.maximum(high / 4 - centre / 4, centre / 4 - low / 4)
    _, exponent = torch.frexp(furthest)
    power = torch.where(furthest > 0, exponent + 2, 0).clamp(-most, most)
    return torch.ldexp(torch.ones_like(centre), power)


def _moments(rows: Rows, which: np.ndarray, labels: np.ndarray, frame: Frame) -> Moments:
    H = rows.H
    block = max(64, -(-H // 4))
    x, xx, xy = (torch.zeros(shape, dtype=torch.float64) for shape in (H, (H, H), H))
    for part, values in _pieces(rows, which):
        z = frame(values)  # (n, H)
        x += z.sum(0, dtype=torch.float64)
        xy += z.t().mv(torch.from_numpy(labels[part]).to(z.dtype))
        for i in range(0, H, block):  # the upper half will do, as xx is symmetric
            xx[i : i + block, i:] += z[:, i : i + block].t() @ z[:, i:]
    xx = xx.triu() + xx.triu(1).t()
    return Moments(len(which), x, float(labels.sum()), xx, xy, float(labels @ labels))


def _along(rows: Rows, which: np.ndarray, weights: Tensor, frame: Frame) -> np.ndarray:
    """(n,) float64 where the states are along a direction, as the frame sees them."""
    read = np.empty(len(which))
    for part, values in _pieces(rows, which):
        z = frame(values)
        read[part] = (z @ weights.to(z.dtype)).numpy()
    return read
