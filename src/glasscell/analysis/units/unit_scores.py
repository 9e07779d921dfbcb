"""How well each unit, alone, tells a label: AUC, Pearson's and Spearman's correlation.

All three are one product. Were a unit's values (or their ranks) and the labels (or theirs) centred
and divided by their norms, their dot product is the correlation; and the AUC is 1/2 plus that
product times a number that depends on the ties alone. So a test against chance needs only such
products, whatever the measure.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

Measure = Literal["auc", "pearson", "spearman"]


@dataclass(frozen=True, eq=False)
class Scored:
    """Some units' scores, and what it takes to score other labels of the same distribution.

    Attributes:
        score: (U,) float64, as a distance from chance: AUC - 1/2, or the correlation.
        profile: (U, n) centred, of norm 1; zeros for a unit that is constant.
        scale: (U,) what turns the product of a profile and a label's into a score.
    """

    score: np.ndarray
    profile: np.ndarray
    scale: np.ndarray


def midranks(values: np.ndarray) -> np.ndarray:
    """(n,) the rank of each value from 0, those that are equal sharing their mean rank; exact."""
    n = len(values)
    if values.dtype == np.float32 and n < 1 << 31:
        # One sort of whole numbers instead of a sort of indices: the value in the upper half, its
        # place in the lower. A float's bits are in order once those of negative ones are flipped;
        # adding 0 turns -0 into 0, its equal.
        bits = (values + np.float32(0)).view(np.int32)
        keys = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
        both = (keys.astype(np.int64) << 32) | np.arange(n)
        both.sort()
        order, level = both & 0xFFFFFFFF, both >> 32
    else:
        order = np.argsort(values)
        level = values[order]
    first = np.flatnonzero(np.concatenate(([True], level[1:] != level[:-1])))
    ranks = np.empty(n)
    if len(first) == n:
        ranks[order] = np.arange(n)
    else:
        size = np.diff(np.append(first, n))
        ranks[order] = np.repeat(first + (size - 1) / 2, size)
    return ranks


def auc(values: np.ndarray, is_positive: np.ndarray) -> float:
    """The chance that a step with the label has the larger value than one without, a tie counting
    half (Mann and Whitney 1947). NaN if all labels are equal.
    """
    positives = int(is_positive.sum())
    negatives = len(values) - positives
    if not positives or not negatives:
        return float("nan")
    above = midranks(values)[is_positive].sum() - positives * (positives - 1) / 2
    return float(above / (positives * negatives))


def label_profile(labels: np.ndarray, measure: Measure) -> np.ndarray:
    """(n,) the labels, or for Spearman their ranks, centred and of norm 1."""
    y = midranks(labels) if measure == "spearman" else _in_reach(labels)
    y = y - y.mean()
    return y / np.sqrt(_dot(y, y))


def scored(
    columns: np.ndarray, labels: np.ndarray, measure: Measure, dtype: type = np.float32
) -> Scored:
    """Scores units.

    Args:
        columns: (U, n) their values.
        labels: (n,) 0 and 1 for an AUC, else numbers.
        dtype: of the profiles; scores are float64 always.
    """
    y = label_profile(labels, measure)
    U, n = columns.shape
    score, scale = np.zeros(U), np.ones(U)
    profile = np.zeros((U, n), dtype=dtype)
    positives = labels.sum() if measure == "auc" else 0
    pairs = positives * (n - positives)

    def one(u: int) -> None:
        z = _in_reach(columns[u]) if measure == "pearson" else midranks(columns[u])
        if measure == "auc":
            above = _dot(z, labels) - positives * (positives - 1) / 2
            score[u] = above / pairs - 0.5
        rounding = 1e-13 * np.abs(z).max() * np.sqrt(n)
        z -= z.mean()
        norm = np.sqrt(_dot(z, z))
        if norm <= rounding:
            return  # constant
        if measure == "auc":
            # The norm of centred 0s and 1s is sqrt(pairs / n).
            scale[u] = norm / np.sqrt(pairs * n)
        else:
            score[u] = _dot(z, y) / norm
        np.divide(z, norm, out=profile[u], casting="same_kind")

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        list(threads.map(one, range(U)))
    return Scored(score, profile, scale)


def _in_reach(values: np.ndarray) -> np.ndarray:
    """The values in float64, times a power of two that leaves their squares numbers."""
    values = values.astype(np.float64)
    _, exponent = np.frexp(np.abs(values).max())
    return np.ldexp(values, -exponent)


def _dot(one: np.ndarray, two: np.ndarray) -> float:
    """A dot product on this thread: BLAS would call up its own, for each of ours."""
    return float(np.einsum("n,n->", one, two))
