"""What scores units reach by chance, when labels keep their own course in time.

Steps that follow one another are alike, in states and in labels, so shuffled steps would make
anything look significant. Here the labels stay as they are and are moved as a whole: along a ring
of all steps, or from one sequence to another.
"""

from typing import Protocol

import numpy as np
import torch

from glasscell.errors import InputError

STORED = 1 << 28  # numbers kept for permuted labels: 1 GiB


class Chance(Protocol):
    """A set of rearrangements of the labels, itself among them first."""

    count: int

    def products(self, profiles: np.ndarray) -> np.ndarray:
        """(U, n) profiles of units -> (U, count) their products with each rearrangement."""
        ...


class Shifts:
    """Every shift of the labels along the ring of all steps: n of them, 0 first.

    All n products are one circular cross-correlation, taken by fast Fourier transform; so all
    shifts are there, for the price of a few hundred.
    """

    def __init__(self, y: np.ndarray) -> None:
        self.count = n = len(y)
        # A length of small prime factors is quick; any other gets room for two turns of the ring.
        self.size = n if is_smooth(n) else next_smooth(2 * n)
        self.spectrum = torch.fft.rfft(torch.from_numpy(y), n=self.size).conj()

    def products(self, profiles: np.ndarray) -> np.ndarray:
        z = torch.from_numpy(profiles)
        n, size = self.count, self.size
        spectrum = torch.fft.rfft(z, n=size)
        spectrum *= self.spectrum.to(spectrum.dtype)
        lags = torch.fft.irfft(spectrum, n=size)
        if size > n:  # a lag of s - n is a shift by s
            ring = lags[:, :n]
            ring[:, 1:] += lags[:, size - n + 1 :]
            lags = ring
        return lags.numpy()


class SwappedSequences:
    """The labels of whole sequences given to other sequences of as many steps, at random.

    Args:
        y: (n,) a label profile, sequence by sequence.
        lengths: (B,) steps of each sequence, of those that count.
        permutations: how many; fewer where more than `STORED` numbers would have to be kept, but
            no fewer than 99.
    """

    def __init__(self, y: np.ndarray, lengths: np.ndarray, permutations: int, seed: int) -> None:
        starts = np.cumsum(lengths) - lengths
        sizes = np.unique(lengths[lengths > 0]).tolist()
        # for each length, (B', T) the rows of the sequences that have it
        rows = [starts[lengths == T][:, None] + np.arange(T) for T in sizes]
        if all(len(group) == 1 for group in rows):
            raise InputError(
                "chance: 'sequences' gives labels to other sequences of as many steps, and no two "
                "have as many; use 'shift'"
            )
        count = min(permutations, max(99, STORED // len(y)))
        rng = np.random.default_rng(seed)
        self.count = count + 1
        self.labels = np.empty((self.count, len(y)), dtype=y.dtype)
        self.labels[0] = y
        for moved in self.labels[1:]:
            for group in rows:
                moved[group] = y[group[rng.permutation(len(group))]]

    def products(self, profiles: np.ndarray) -> np.ndarray:
        return (torch.from_numpy(profiles) @ torch.from_numpy(self.labels).t()).numpy()


class Tally:
    """How often chance does as well as each unit, and as the best of all units does by chance."""

    def __init__(self, chance: Chance, H: int) -> None:
        self.chance = chance
        self.p = np.empty(H)
        self.largest = np.zeros(chance.count)  # (R,) over all units, for each rearrangement

    def add(self, units: slice, profiles: np.ndarray, scale: np.ndarray, score: np.ndarray) -> None:
        """Takes some units into account."""
        found = self.chance.products(profiles)
        np.abs(found, out=found)
        found *= scale[:, None].astype(found.dtype)
        # The labels as they are count too; and so does what is as large but for rounding.
        reached = found >= (np.abs(score) - self.rounding(found.dtype))[:, None]
        reached[:, 0] = True
        self.p[units] = reached.sum(1) / self.chance.count
        np.maximum(self.largest, found.max(0), out=self.largest)

    def family(self, score: np.ndarray) -> np.ndarray:
        """(H,) how often the best of all units does as well by chance as each unit did."""
        tolerance = self.rounding(np.dtype(np.float32))
        ordered = np.sort(self.largest)
        reached = len(ordered) - np.searchsorted(ordered, np.abs(score) - tolerance)
        return np.maximum(reached, 1) / self.chance.count

    @staticmethod
    def rounding(dtype: np.dtype) -> float:
        return 2e-6 if dtype == np.float32 else 1e-12


def is_smooth(n: int) -> bool:
    """Whether a number has no prime factors above 7."""
    for prime in (2, 3, 5, 7):
        while n % prime == 0:
            n //= prime
    return n == 1


def next_smooth(n: int) -> int:
    while not is_smooth(n):
        n += 1
    return n
