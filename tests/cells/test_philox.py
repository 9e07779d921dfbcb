"""Philox against the known-answer vectors that come with Random123."""

import numpy as np
import pytest
from tests.cells.philox import philox4x32

# rounds, counter, key, and the four words, in hexadecimal (Random123, kat_vectors)
ZEROS, ONES = ("00000000 " * 4, "00000000 " * 2), ("ffffffff " * 4, "ffffffff " * 2)
PI = "243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0"
KNOWN = [
    (7, *ZEROS, "5f6fb709 0d893f64 4f121f81 4f730a48"),
    (7, *ONES, "5207ddc2 45165e59 4d8ee751 8c52f662"),
    (7, *PI, "4dfccaba 190a87f0 c47362ba b6b5242a"),
    (10, *ZEROS, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (10, *ONES, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (10, *PI, "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> np.ndarray:
    return np.array([int(word, 16) for word in text.split()], dtype=np.uint32)


@pytest.mark.parametrize(("rounds", "counter", "key", "expected"), KNOWN)
def test_known_answers(rounds, counter, key, expected):
    assert (philox4x32(words(counter), words(key), rounds) == words(expected)).all()


def test_many_counters_at_once_are_each_alone():
    generator = np.random.default_rng(0)
    counters = generator.integers(0, 2**32, (5, 7, 4), dtype=np.uint32)
    key = words("a4093822 299f31d0")
    together = philox4x32(counters, key)
    assert together.shape == (5, 7, 4)
    assert together.dtype == np.uint32
    for place in np.ndindex(5, 7):
        assert (together[place] == philox4x32(counters[place], key)).all()


def test_keys_broadcast():
    keys = np.array([[0, 0], [0xFFFFFFFF, 0xFFFFFFFF]])
    zeros = philox4x32(np.zeros(4, dtype=int), keys)
    assert (zeros[0] == words(KNOWN[0][3])).all()
    assert (zeros[0] != zeros[1]).any()


def test_words_are_uniform():
    counters = np.zeros((10_000, 4), dtype=np.uint32)
    counters[:, 0] = np.arange(10_000)
    numbers = philox4x32(counters, np.zeros(2, dtype=np.uint32)) / 2**32
    # Kolmogorov-Smirnov: beyond 1.95 / sqrt(n) once in a thousand draws
    for column in np.sort(numbers.T):
        gap = np.abs(column - (np.arange(10_000) + 0.5) / 10_000).max()
        assert gap < 1.95 / 100
